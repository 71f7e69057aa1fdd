/** Reads Dockerfiles, and checks the rules of this repository for them. */

export type Instruction = { readonly name: string; readonly text: string };

/** Instructions in their order, with continued lines joined and comments removed. */
export function parseDockerfile(source: string): readonly Instruction[] {
  const lines = source.split('\n').filter((line) => !/^\s*#/.test(line) && line.trim() !== '');
  const joined = lines
    .join('\n')
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n');
  return joined.map((line) => {
    const [, name = '', text = ''] = /^\s*([A-Za-z]+)\s+(.*)$/.exec(line) ?? [];
    return { name: name.toUpperCase(), text: text.trim() };
  });
}

/** A sentence for each broken rule. */
export function dockerfileProblems(instructions: readonly Instruction[]): readonly string[] {
  return [
    ...instructions.flatMap((one) => problemsOf(one)),
    ...baseProblems(instructions),
    ...lastStageProblems(instructions),
  ];
}

function problemsOf({ name, text }: Instruction): readonly string[] {
  if (name === '') return ['a line is not an instruction'];
  if (name === 'ADD') return [`ADD ${text}: use COPY; ADD can fetch from the network`];
  if (name === 'RUN' && /\b(curl|wget)\b/.test(text)) return [`RUN ${text}: curl and wget fetch what no digest pins`];
  if (['ENTRYPOINT', 'CMD'].includes(name) && !text.startsWith('[')) return [`${name} ${text}: the image has no shell`];
  return [];
}

/** Every base is an earlier stage, scratch, or an image with a tag or a digest; COPY names earlier stages only. */
function baseProblems(instructions: readonly Instruction[]): readonly string[] {
  const args = new Map(
    instructions
      .filter(({ name }) => name === 'ARG')
      .map(({ text }) => {
        const [key = '', value = ''] = text.split(/=(.*)/);
        return [key, value];
      }),
  );
  return instructions.flatMap(({ name, text }, i) => {
    const stages = ['scratch', ...stagesIn(instructions.slice(0, i))];
    if (name === 'FROM') return fromProblems(text, args, stages);
    const [, from = 'scratch'] = /^--from=(\S+)/.exec(text) ?? [];
    return name !== 'COPY' || stages.includes(from) ? [] : [`COPY --from=${from}: there is no such stage`];
  });
}

function fromProblems(text: string, args: ReadonlyMap<string, string>, stages: readonly string[]): readonly string[] {
  const [image = ''] = text.split(/\s+/);
  const base = image.replace(/\$\{(\w+)\}/, (whole, arg: string) => args.get(arg) ?? whole);
  const isPinned = /[:@][\w.:-]+$/.test(base) && !base.endsWith(':latest');
  return isPinned || stages.includes(base) ? [] : [`FROM ${base}: name a tag or a digest`];
}

function stagesIn(instructions: readonly Instruction[]): readonly string[] {
  return instructions.flatMap(({ name, text }) => {
    const [, stage] = /\sAS\s+(\S+)$/i.exec(text) ?? [];
    return name === 'FROM' && stage !== undefined ? [stage] : [];
  });
}

/** Kubernetes checks runAsNonRoot only for a user that is a number. */
function lastStageProblems(instructions: readonly Instruction[]): readonly string[] {
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const user = last.findLast(({ name }) => name === 'USER')?.text ?? 'missing';
  return /^[1-9]\d*:[1-9]\d*$/.test(user)
    ? []
    : [`USER ${user}: the last stage needs a user id and a group id above 0`];
}
