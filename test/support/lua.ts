/**
 * Runs Lua scripts as Argo CD does: the object is a global, and only the libraries base, table and os exist. Needs a
 * Lua program on the machine, such as Debian's lua5.1: Argo CD uses Lua 5.1.
 */
import { spawnSync } from 'node:child_process';

const programs = ['lua5.1', 'luajit', 'lua', 'lua5.4'];

/** The Lua program; undefined when it is not installed on this machine. */
export const lua: string | undefined = programs.find((program) => spawnSync(program, ['-v']).status === 0);

/** Lua code that writes a value as JSON. A table that has an item 1 is written as a list. */
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

/** Runs the script with `obj` as a global, and returns its result. */
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
