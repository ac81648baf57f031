import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { assertProblem, head, openRaw, post, withEdge } from './edge.ts';

const text = JSON.stringify({ text: 'Zürich 東京 '.repeat(2_000) });

describe('Content-Encoding', () => {
  const encodings: [string, Uint8Array][] = [
    ['', Buffer.from(text)],
    ['identity', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['GZip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['deflate', deflateRawSync(text, { level: 0 })],
    ['br', brotliCompressSync(text)],
    ['gzip', Buffer.concat([gzipSync(text.slice(0, 100)), gzipSync(text.slice(100))])],
  ];
  for (const [index, [encoding, body]] of encodings.entries()) {
    test(`${index}: "${encoding}" arrives as it was`, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, body, { 'content-encoding': encoding });
        assert.equal(reply.status, 200, reply.text);
        assert.equal(Buffer.from(received[0]?.bytes ?? []).toString(), text);
      });
    });
  }

  test('any bytes in any encoding and any pieces arrive as they were', async () => {
    const encode = { identity: (b: Uint8Array) => b, gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    await withEdge({}, async ({ port, received }) => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 3_000 }),
          fc.constantFrom(...(Object.keys(encode) as (keyof typeof encode)[])),
          fc.integer({ min: 1, max: 700 }),
          async (bytes, encoding, pieceLength) => {
            const body = encode[encoding](bytes);
            const raw = openRaw(port);
            raw.socket.write(head(['Transfer-Encoding: chunked', `Content-Encoding: ${encoding}`]));
            for (let from = 0; from < body.length; from += pieceLength) {
              const piece = body.subarray(from, from + pieceLength);
              raw.socket.write(`${piece.length.toString(16)}\r\n`);
              raw.socket.write(piece);
              raw.socket.write('\r\n');
            }
            raw.socket.write('0\r\n\r\n');
            assert.match(await raw.until(/"rows".*\}\}/s), /^HTTP\/1\.1 200 /);
            raw.socket.destroy();
            assert.deepEqual(Buffer.from(received.at(-1)?.bytes ?? []), Buffer.from(bytes));
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  for (const encoding of ['zstd', 'compress', 'gzip, gzip', 'gzip, br', 'gzip, identity', 'utf-8', '__proto__']) {
    test(`"${encoding}" is 415 and names what is taken`, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, text, { 'content-encoding': encoding });
        assertProblem(reply, 415, 'encoding_unsupported');
        assert.equal(reply.headers['accept-encoding'], 'gzip, deflate, br, identity');
        assert.equal(received.length, 0);
      });
    });
  }

  test('a transfer coding but chunked is 415', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write(`${head(['Transfer-Encoding: gzip, chunked'])}0\r\n\r\n`);
      assert.match(await raw.until(/\r\n\r\n.*\}/s), /^HTTP\/1\.1 415 /);
      raw.socket.destroy();
    });
  });
});

describe('a broken compression is 400 and not kept', () => {
  const compressed = gzipSync(text);
  const flipped = Buffer.from(compressed);
  flipped.writeUInt8(flipped.readUInt8(40) ^ 0xff, 40);
  const broken: [string, string, Uint8Array][] = [
    ['no gzip at all', 'gzip', Buffer.from(text)],
    ['gzip cut short', 'gzip', compressed.subarray(0, -5)],
    ['gzip of which one byte is left', 'gzip', compressed.subarray(0, 1)],
    ['gzip with a flipped bit', 'gzip', flipped],
    ['gzip with bytes behind it', 'gzip', Buffer.concat([compressed, Buffer.from('more')])],
    ['gzip with zeros behind it', 'gzip', Buffer.concat([compressed, Buffer.alloc(8)])],
    ['zlib with bytes behind it', 'deflate', Buffer.concat([deflateSync(text), Buffer.from('more')])],
    ['zlib with a megabyte behind it', 'deflate', Buffer.concat([deflateSync(text), randomBytes(1_000_000)])],
    ['raw deflate with bytes behind it', 'deflate', Buffer.concat([deflateRawSync(text), Buffer.from('more')])],
    ['no deflate at all', 'deflate', Buffer.from(text)],
    ['brotli cut short', 'br', brotliCompressSync(text).subarray(0, -3)],
    ['brotli with bytes behind it', 'br', Buffer.concat([brotliCompressSync(text), Buffer.from('more')])],
    ['no brotli at all', 'br', Buffer.from(text)],
  ];
  for (const [name, encoding, body] of broken) {
    test(name, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, body, { 'content-encoding': encoding });
        assertProblem(reply, 400, 'body_not_decompressible');
        assert.equal(reply.json['quarantined'], undefined);
        assert.equal(received.length, 0);
        assert.equal((await post(port, '{}')).status, 200);
      });
    });
  }

  test('behind one that was not read to its end the connection goes on', async () => {
    await withEdge({}, async ({ port }) => {
      const body = Buffer.concat([deflateSync(text), randomBytes(1_000_000)]);
      const raw = openRaw(port);
      for (let count = 0; count < 3; count += 1) {
        raw.socket.write(head([`Content-Length: ${body.length}`, 'Content-Encoding: deflate']));
        raw.socket.write(body);
      }
      raw.socket.write(`${head(['Content-Length: 2'])}{}`);
      assert.match(await raw.until(/"rows":2/), /^(HTTP\/1\.1 400 [\s\S]*){3}HTTP\/1\.1 200 /);
      raw.socket.destroy();
    });
  });
});
