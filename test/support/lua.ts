/**
 * Runs Lua as Argo CD does: the object as a global, with only the base, table and os libraries.
 * Why: a Lua program is used because Argo CD's Lua is 5.1 and a JavaScript interpreter is not worth a dependency.
 * Debian has lua5.1.
 */
import { spawnSync } from 'node:child_process';

const programs = ['lua5.1', 'luajit', 'lua', 'lua5.4'];

/** The Lua program; undefined when it is not installed on this machine. */
export const lua: string | undefined = programs.find((program) => spawnSync(program, ['-v']).status === 0);

/** Writes a value of Lua as JSON; a table with a first item is a list. */
const writer = `
local format, rep = string.format, table.concat
local function json(value)
  if type(value) == "string" then return (format("%q", value):gsub("\\\\\\n", "\\\\n")) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  if value[1] ~= nil then
    for _, item in ipairs(value) do parts[#parts + 1] = json(item) end
    return "[" .. rep(parts, ",") .. "]"
  end
  for key, item in pairs(value) do parts[#parts + 1] = json(tostring(key)) .. ":" .. json(item) end
  return "{" .. rep(parts, ",") .. "}"
end
local write = io.write
`;

/** The result of `script` for `obj`. */
export function runLua(script: string, obj: unknown): unknown {
  const safe =
    '\nlocal allowed = require\nio, string, debug, package, load, loadstring, dofile, math = nil\nrequire = ' +
    'function(name) if name ~= "os" then error("no " .. name) end return allowed("os") end\n';
  const text = `${writer}${safe}obj = ${literal(obj)}\nlocal function run()\n${script}\nend\nwrite(json(run()))\n`;
  const { status, stdout, stderr } = spawnSync(lua ?? '', ['-'], { input: text, encoding: 'utf8' });
  if (status !== 0) throw new Error(`lua: ${stderr}`);
  return JSON.parse(stdout) as unknown;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object') throw new TypeError(`Lua has no ${typeof value}`);
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  return `{${Object.entries(value)
    .map(([key, item]) => `[${JSON.stringify(key)}] = ${literal(item)}`)
    .join(', ')}}`;
}
