/** Why a node refuses to start: one clear line, naming what was wrong and how to mend it. */
export class StartError extends Error {}
