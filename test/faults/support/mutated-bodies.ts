import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  inflateSync,
} from 'node:zlib';
import fc from 'fast-check';
import { requestBodies } from '../../kinds/request-bodies.ts';

export interface MutatedBody {
  /** As it goes over the wire. */
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** What a server that takes it has read; null where it is not known before. */
  readonly inflated: Buffer | null;
}

type Mutation = (body: Buffer) => Buffer;

/** Bodies that a server takes, small enough to send thousands of. */
const sources = Object.values(requestBodies)
  .filter((body) => body.length < 8_000)
  .map((body) => Buffer.from(body));

const event = fc
  .record({
    event_type: fc.oneof(fc.constantFrom('RequestGranted', 'Created', 'Something.New'), fc.string()),
    event_time: fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constantFrom('1763719200.5', '1.7E9')),
    data: fc.oneof(fc.jsonValue(), fc.record({ access_groups: fc.jsonValue(), custom_fields: fc.jsonValue() })),
  })
  .map((value) => Buffer.from(JSON.stringify(value)));

const tokens = [
  ...['&amp;', '&#x27;', '&quot;', '&amp;amp;', '&#0;', '\\', '\\"', '\\\\', '\\u0000', '\\ud83d', '\\u12', '\\x'],
  ...['\u0000', '\n', '\u2028', '\ufeff', '"', ',', ':', '{', '}', '[', ']', 'null', 'NaN', '1e999', '-0', '1E-999'],
  ...['12345678901234567890', '0.1e', '01', '"__proto__":{"a":1},', '"constructor":null,', '"event_time":"",'],
  ...['"TimeGenerated":"1",', '"data":[],', '"access_groups":[{"access_units":[{}]}],', '{{event_time}}', '💥'],
].map((token) => Buffer.from(token));
/** No UTF-8. */
const badBytes = [Buffer.from([0xff]), Buffer.from([0xc0, 0x80]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xf5])];

/** 0 to 1: where in the body. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const indexIn = (body: Buffer, at: number): number => Math.min(body.length, Math.floor(at * body.length));

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(([at, byte]) => (body: Buffer) => {
    const copy = Buffer.from(body);
    if (copy.length > 0) copy[Math.min(copy.length - 1, indexIn(copy, at))] = byte;
    return copy;
  }),
  place.map((at) => (body: Buffer) => body.subarray(0, indexIn(body, at))),
  place.map((at) => (body: Buffer) => body.subarray(indexIn(body, at))),
  fc.tuple(place, place, fc.integer({ min: 1, max: 20 })).map(([a, b, times]) => (body: Buffer) => {
    const piece = body.subarray(indexIn(body, Math.min(a, b)), indexIn(body, Math.max(a, b)));
    const at = indexIn(body, b);
    return Buffer.concat([body.subarray(0, at), ...Array<Buffer>(times).fill(piece), body.subarray(at)]);
  }),
  fc.tuple(place, fc.constantFrom(...tokens, ...badBytes)).map(([at, token]) => (body: Buffer) => {
    const index = indexIn(body, at);
    return Buffer.concat([body.subarray(0, index), token, body.subarray(index)]);
  }),
  fc.tuple(fc.constantFrom(1, 2, 62, 63, 64, 65, 5_000), fc.boolean()).map(([levels, list]) => (body: Buffer) => {
    const [open, close] = list ? ['[', ']'] : ['{"a":', '}'];
    return Buffer.concat([Buffer.from(open.repeat(levels)), body, Buffer.from(close.repeat(levels))]);
  }),
  fc.tuple(place, fc.constantFrom('9'.repeat(400), '1e400', '-1e-400', '0'.repeat(50), '1'.repeat(30_000))).map(
    ([at, number]) =>
      (body: Buffer) =>
        replaceNumber(body, at, number),
  ),
  // Inside of a text, where most of them leave JSON.
  fc.constantFrom(...tokens).map((token) => (body: Buffer) => {
    const index = body.indexOf('"justification"');
    const at = body.indexOf('"', index + '"justification"'.length) + 1;
    return index === -1 ? body : Buffer.concat([body.subarray(0, at), token, body.subarray(at)]);
  }),
  fc.constant((body: Buffer) => Buffer.from(body.toString('latin1'), 'utf16le')),
  fc.constant((body: Buffer) => Buffer.concat([Buffer.from('['), body, Buffer.from(','), body, Buffer.from(']')])),
);

/** Puts a number in place of the first one behind `at`. */
function replaceNumber(body: Buffer, at: number, number: string): Buffer {
  const text = body.toString('latin1');
  const from = indexIn(body, at);
  return Buffer.from(text.slice(0, from) + text.slice(from).replace(/\d+/, number), 'latin1');
}

type Wire = (body: Buffer) => MutatedBody;

function wire(encoding: string | null, encode: (body: Buffer) => Buffer, known: boolean): Wire {
  const headers: Record<string, string> = encoding === null ? {} : { 'content-encoding': encoding };
  return (body) => ({ bytes: encode(body), headers, inflated: known ? body : null });
}

const same = (body: Buffer): Buffer => body;
const broken = (compress: (body: Buffer) => Buffer, at: number) => (body: Buffer) => {
  const bytes = Buffer.from(compress(body));
  const index = indexIn(bytes, at);
  if (index < bytes.length) bytes[index] = (bytes[index] ?? 0) ^ 0x55;
  return bytes;
};

const wires: fc.Arbitrary<Wire> = fc.oneof(
  { weight: 12, arbitrary: fc.constant(wire(null, same, true)) },
  { weight: 2, arbitrary: fc.constantFrom(wire('gzip', gzipSync, true), wire('br', brotliCompressSync, true)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(wire('deflate', deflateSync, true), wire('deflate', deflateRawSync, true)),
  },
  { weight: 1, arbitrary: fc.constantFrom(...['zstd', 'gzip, gzip', 'x', '*'].map((name) => wire(name, same, true))) },
  { weight: 1, arbitrary: fc.constantFrom(wire('gzip', same, false), wire('deflate', same, false)) },
  { weight: 1, arbitrary: place.map((at) => wire('gzip', broken(gzipSync, at), false)) },
  {
    weight: 1,
    arbitrary: place.map((at) => wire('gzip', (body) => gzipSync(body).subarray(0, indexIn(body, at)), false)),
  },
);

/** `maxBodyBytes`: of the server; some bodies are larger. */
export function mutatedBody(maxBodyBytes: number): fc.Arbitrary<MutatedBody> {
  const bomb = gzipSync(Buffer.alloc(50 * maxBodyBytes, ' '));
  const large = Buffer.alloc(maxBodyBytes + 1, '[');
  const body = fc
    .tuple(
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...sources) }, { weight: 2, arbitrary: event }),
      fc.array(mutation, { maxLength: 4 }),
    )
    .map(([source, mutations]) => mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), source));
  return fc.oneof(
    { weight: 98, arbitrary: fc.tuple(body, wires).map(([bytes, send]) => send(bytes)) },
    {
      weight: 2,
      arbitrary: fc.constantFrom<MutatedBody>(
        { bytes: bomb, headers: { 'content-encoding': 'gzip' }, inflated: null },
        { bytes: large, headers: {}, inflated: large },
        { bytes: large, headers: { 'transfer-encoding': 'chunked' }, inflated: large },
      ),
    },
  );
}

/** What the server read, for a body that it took although its encoding was tampered with. */
export function inflate({ bytes, headers, inflated }: MutatedBody): Buffer {
  // Nothing is nothing in every encoding.
  if (inflated !== null || bytes.length === 0) return inflated ?? bytes;
  if (headers['content-encoding'] !== 'deflate') return gunzipSync(bytes);
  try {
    return inflateSync(bytes);
  } catch {
    // Some senders leave the header out, so the service reads that too.
    return inflateRawSync(bytes);
  }
}
