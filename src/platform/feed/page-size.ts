/** How many rows of the log are read, and rendered, at once. */
export const pageSize = 100;
