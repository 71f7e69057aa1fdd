/** Names of properties that a plain object inherits. A lookup with a client's text as the key must not find them. */
export const inheritedNames: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype)];
