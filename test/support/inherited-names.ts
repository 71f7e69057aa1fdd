/** Names that a plain object answers to without having them: what a lookup by a client's text must not find. */
export const inheritedNames: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype)];
