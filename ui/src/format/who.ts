// Names of actors as people read them.

/** "system:loop" is the machine itself; people and tokens keep their names. */
export const actorName = (actor: string): string => actor.replace(/^system:/, "");
