/** Names of inherited properties of a plain object, which a lookup by a client's text must not find. */
export const inheritedNames: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype)];
