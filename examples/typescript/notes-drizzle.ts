// Notes of several tenants, searched by meaning with Drizzle: its own column type and distance, and SQL where it has none.
//
//   npm ci && npm run build
//   DATABASE_URL=postgresql://user@host/database node dist/notes-drizzle.js
//
// prints
//
//   0.118  the cat sleeps on the warm stove
//   0.581  a kitten and a cat chase a ball
import { cosineDistance, eq, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { bigserial, index, integer, pgTable, text, vector } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { dimensions, embed, notes as given } from './embedding.js';

const notes = pgTable(
  'notes',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    tenantId: integer('tenant_id').notNull(),
    text: text().notNull(),
    embedding: vector({ dimensions }).notNull(),
  },
  // For drizzle-kit, which makes the SQL of createTable below of it. The tenant stands behind the vector: the index
  // checks it, and a search never looks at others' rows in the table.
  (table) => [index('notes_by_meaning').using('hnsw', table.embedding.op('vector_cosine_ops'), table.tenantId)],
);

async function createTable(database: NodePgDatabase) {
  await database.execute(sql`CREATE EXTENSION IF NOT EXISTS dvec`);
  await database.execute(sql`DROP TABLE IF EXISTS notes`);
  await database.execute(sql`CREATE TABLE notes (id bigserial PRIMARY KEY, tenant_id integer NOT NULL,
                                                 text text NOT NULL, embedding vector(${sql.raw(String(dimensions))}) NOT NULL)`);
  await database.execute(sql`CREATE INDEX notes_by_meaning ON notes USING hnsw (embedding vector_cosine_ops, tenant_id)`);
}

async function nearest(database: NodePgDatabase, tenant: number, question: string, limit = 2) {
  const distance = cosineDistance(notes.embedding, embed(question));
  return database
    .select({ text: notes.text, distance: sql<number>`${distance}` })
    .from(notes)
    .where(eq(notes.tenantId, tenant))
    .orderBy(distance)
    .limit(limit);
}

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
try {
  const database = drizzle({ client: pool });
  await createTable(database);
  await database.insert(notes).values(
    given.map(({ tenant, text }) => ({ tenantId: tenant, text, embedding: embed(text) })),
  );
  await database.transaction(async (transaction) => {
    // How wide this transaction searches: more finds more of the nearest, and takes longer.
    await transaction.execute(sql`SET LOCAL dvec.ef_search = 100`);
    for (const { text, distance } of await nearest(transaction, 1, 'a cat on the warm stove')) {
      console.log(`${distance.toFixed(3)}  ${text}`);
    }
  });
} finally {
  await pool.end();
}
