/**
 * The two views of `watch`: one is redrawn in place on a terminal, the other prints a line for each change.
 *
 * Owns: when output is written. picture.ts selects the content; picture-text.ts makes the layout. `end` leaves the last
 * output on screen.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Clock } from '../../lib/clock.ts';
import { LiveFrame } from './live-frame.ts';
import { pictureText } from './picture-text.ts';
import { pictureOf, type Picture } from './picture.ts';
import { plainLine } from './plain-text.ts';
import type { Terminal } from './terminal.ts';

/** How often times such as "4s ago" are updated. */
const tickMs = 1000;

export interface WatchView {
  see(model: OnnxModel): Picture;
  /** Reports a problem of the watch; undefined means that the watch works again. */
  trouble(problem: string | undefined): void;
  end(): void;
}

/** Redraws the text in place after each change, and every second to update the times in it. */
export class LiveView implements WatchView {
  readonly #frame: LiveFrame;
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  #picture: Picture | undefined;
  #problem: string | undefined;
  #stopTicking: () => void = () => {};

  constructor(write: (text: string) => void, terminal: Terminal, clock: Clock) {
    this.#frame = new LiveFrame(write, terminal);
    this.#terminal = terminal;
    this.#clock = clock;
  }

  see(model: OnnxModel): Picture {
    this.#picture = pictureOf(model);
    this.#draw();
    return this.#picture;
  }

  trouble(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#draw();
  }

  end(): void {
    this.#stopTicking();
    this.#frame.end();
  }

  #draw(): void {
    this.#stopTicking();
    if (this.#picture !== undefined)
      this.#frame.draw(
        pictureText(
          this.#picture,
          { now: this.#clock.now(), width: this.#terminal.columns(), paint: this.#terminal.paint },
          'live',
        ) + this.#troubleText(),
      );
    this.#stopTicking = this.#clock.after(tickMs, () => this.#draw());
  }

  #troubleText(): string {
    return this.#problem === undefined
      ? ''
      : `\n${this.#terminal.paint('bad', `the watch failed and will be retried: ${plainLine(this.#problem)}`)}\n`;
  }
}

/** Prints a line with the current time whenever the text of the line has changed. */
export class LineView implements WatchView {
  readonly #write: (text: string) => void;
  readonly #clock: Clock;
  #last = '';

  constructor(write: (text: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  see(model: OnnxModel): Picture {
    const picture = pictureOf(model);
    this.#say(lineOf(picture));
    return picture;
  }

  trouble(problem: string | undefined): void {
    if (problem !== undefined) this.#say(`the watch failed and will be retried: ${plainLine(problem)}`);
  }

  end(): void {}

  #say(line: string): void {
    if (line === this.#last) return;
    this.#last = line;
    this.#write(`${new Date(this.#clock.now()).toISOString().slice(11, 19)} ${line}\n`);
  }
}

/** One line for a model: `ml/ranker: Progressing: Analyzing: [step 2 of 5, 5%] p95 …`; 5% is the candidate's share. */
export function lineOf({ namespace, name, outcome, reason, message, rollout }: Picture): string {
  const { step, stepCount, weight } = rollout ?? {};
  const place = [
    ...(step === undefined
      ? []
      : [stepCount === undefined ? `step ${step}` : `step ${Math.min(step, stepCount)} of ${stepCount}`]),
    ...(weight === undefined
      ? []
      : [
          weight.actual === undefined || weight.actual === weight.desired
            ? `${weight.desired}%`
            : `target ${weight.desired}%, actual ${weight.actual}%`,
        ]),
  ];
  return (
    `${namespace}/${name}: ${outcome}: ${reason}: ` +
    `${place.length === 0 ? '' : `[${place.join(', ')}] `}${plainLine(message)}`
  );
}
