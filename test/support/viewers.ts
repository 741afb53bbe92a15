import type { Viewer } from '../../src/platform/auth/viewer.ts';

/** Whoever presents nothing. */
export const anonymous: Viewer = { user: undefined, objects: new Set(), bearerObject: undefined };
