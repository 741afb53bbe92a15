/** What a server is told by who starts it. */
export const port = Number(process.env.PORT);
export const redisUrl = String(process.env.REDIS_URL);
export const databaseUrl = String(process.env.DATABASE_URL);
