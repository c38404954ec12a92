// node-postgres with pgvector-node: types, parameters, prepared statements, the index.
const assert = require('node:assert');
const { after, before, test } = require('node:test');
const pg = require('pg');
const pgvector = require('pgvector/pg');
const { SparseVector } = require('pgvector');

const client = new pg.Client();

before(async () => {
  await client.connect();
  await client.query('CREATE EXTENSION IF NOT EXISTS vector');
  await pgvector.registerTypes(client);
  await client.query(`CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3),
    sparse sparsevec(3), bits bit(3))`);
});

after(() => client.end());

test('values of every type come back', async () => {
  const row = [1, pgvector.toSql([1, 2.5, -3]), pgvector.toSql([1, 2.5, -3]),
    pgvector.toSql(new SparseVector([0, 2.5, 0])), '101'];
  await client.query('INSERT INTO items VALUES ($1, $2, $3, $4, $5), (2, NULL, NULL, NULL, NULL)', row);
  const { rows } = await client.query('SELECT * FROM items ORDER BY id');
  assert.deepStrictEqual(rows[0].embedding, [1, 2.5, -3]);
  assert.deepStrictEqual(rows[0].half, [1, 2.5, -3]);
  assert.deepStrictEqual(rows[0].sparse.toArray(), [0, 2.5, 0]);
  assert.strictEqual(rows[0].bits, '101');
  assert.strictEqual(rows[1].embedding, null);
});

test('a prepared search uses the index', async () => {
  await client.query('TRUNCATE items');
  for (let i = 0; i < 100; i++) {
    await client.query('INSERT INTO items (id, embedding) VALUES ($1, $2)', [i, pgvector.toSql([i, 1, 0])]);
  }
  await client.query('CREATE INDEX ON items USING hnsw (embedding vector_l2_ops)');
  for (const goal of [17, 80]) {
    const { rows } = await client.query({
      name: 'nearest',
      text: 'SELECT id, embedding FROM items ORDER BY embedding <-> $1 LIMIT 3',
      values: [pgvector.toSql([goal + 0.2, 1, 0])],
    });
    assert.deepStrictEqual(rows.map((row) => row.id), [goal, goal + 1, goal - 1]);
    assert.deepStrictEqual(rows[0].embedding, [goal, 1, 0]);
  }
});

test('an error has its SQLSTATE', async () => {
  await assert.rejects(
    client.query('INSERT INTO items (id, embedding) VALUES (1000, $1)', [pgvector.toSql([1, 2])]),
    { code: '22000', message: 'expected 3 dimensions, not 2' });
});
