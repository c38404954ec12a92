// Notes of several tenants, searched by meaning with node-postgres.
//
//   npm ci && npm run build
//   DATABASE_URL=postgresql://user@host/database node dist/notes-pg.js
//
// prints
//
//   0.118  the cat sleeps on the warm stove
//   0.581  a kitten and a cat chase a ball
import pg from 'pg';
import { dimensions, embed, notes } from './embedding.js';

// A vector travels as text, '[1,2,3]', which is what JSON makes of an array of numbers.
const asVector = (numbers: number[]) => JSON.stringify(numbers);

interface Found {
  text: string;
  distance: number;
}

async function nearest(client: pg.Client, tenant: number, question: string, limit = 2): Promise<Found[]> {
  const { rows } = await client.query<Found>({
    name: 'nearest notes', // prepared once for a session
    text: `SELECT text, embedding <=> $1 AS distance FROM notes WHERE tenant_id = $2
           ORDER BY embedding <=> $1 LIMIT $3`,
    values: [asVector(embed(question)), tenant, limit],
  });
  return rows;
}

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
try {
  await client.query('CREATE EXTENSION IF NOT EXISTS dvec');
  await client.query('DROP TABLE IF EXISTS notes');
  await client.query(`CREATE TABLE notes (id bigserial PRIMARY KEY, tenant_id integer NOT NULL, text text NOT NULL,
                                          embedding vector(${dimensions}) NOT NULL)`);
  // The tenant stands behind the vector: the index checks it, and a search never looks at others' rows in the table.
  await client.query('CREATE INDEX ON notes USING hnsw (embedding vector_cosine_ops, tenant_id)');
  // Many rows in one statement: arrays of what each column gets.
  await client.query('INSERT INTO notes (tenant_id, text, embedding) SELECT * FROM unnest($1::int[], $2::text[], $3::vector[])', [
    notes.map((note) => note.tenant),
    notes.map((note) => note.text),
    notes.map((note) => asVector(embed(note.text))),
  ]);
  await client.query('BEGIN');
  // How wide this transaction searches: more finds more of the nearest, and takes longer.
  await client.query('SET LOCAL dvec.ef_search = 100');
  for (const { text, distance } of await nearest(client, 1, 'a cat on the warm stove')) {
    console.log(`${distance.toFixed(3)}  ${text}`);
  }
  await client.query('COMMIT');
} finally {
  await client.end();
}
