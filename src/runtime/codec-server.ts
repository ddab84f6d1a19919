import { timingSafeEqual, createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { z } from 'zod';

/** A history page holds at most a few megabytes of payloads. */
const LARGEST_BODY = 64 * 1024 * 1024;

export interface CodecServerOptions {
  readonly codec: PayloadCodec;
  /** Origin of the Web UI that may call it: `http://localhost:8233`. */
  readonly origin: string;
  /** Token that callers must send as `Authorization: Bearer <token>`. */
  readonly token: string | undefined;
}

/** Bytes in base64, as in the JSON form of protocol buffers. */
const bytes = z.base64().transform((text): Uint8Array => Buffer.from(text, 'base64'));

const payload = z
  .object({ metadata: z.record(z.string(), bytes).default({}), data: bytes.default(new Uint8Array()) })
  .transform((read): Payload => read);

const wanted = z.object({ payloads: z.array(payload).default([]) });

/**
 * Creates a server that decrypts for the command line and the Web UI, by the protocol that both use:
 * `POST /encode` and `/decode` with `{"payloads": […]}`, the bytes in base64.
 * See https://docs.temporal.io/production-deployment/data-encryption#codec-server-setup.
 */
export function createCodecServer(options: CodecServerOptions): Server {
  return createServer((request, response) => {
    answer(request, response, options).catch(() => {
      if (!response.headersSent) response.writeHead(400);
      response.end();
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { codec, origin, token }: CodecServerOptions,
): Promise<void> {
  const asking = request.headers.origin ?? origin;
  if (!isSamePage(asking, origin)) return end(response, 403);
  response.setHeader('Access-Control-Allow-Origin', asking);
  response.setHeader('Access-Control-Allow-Headers', 'authorization,content-type,x-namespace');
  response.setHeader('Access-Control-Allow-Methods', 'POST,OPTIONS');
  response.setHeader('Access-Control-Allow-Credentials', 'true');
  response.setHeader('Vary', 'Origin');
  if (request.method === 'OPTIONS') return end(response, 204);
  if (!isAllowed(request, token)) return end(response, 401);
  const work = workOf(request, codec);
  if (work === undefined) return end(response, 404);
  const { payloads } = wanted.parse(JSON.parse(await bodyOf(request)));
  const done = await work(payloads);
  response.setHeader('Content-Type', 'application/json');
  return end(response, 200, JSON.stringify({ payloads: done.map(toJson) }));
}

/**
 * Returns whether a page is the Web UI, which has two addresses on this machine, of which people open either.
 *
 * Other pages are refused here, and not only by browsers: a browser takes this server for that of a page whose name was
 * made to lead to this machine (DNS rebinding). The command line sends no origin.
 */
const isSamePage = (asking: string, origin: string): boolean =>
  withLocalhost(asking) === withLocalhost(origin);

const withLocalhost = (origin: string): string =>
  origin.replace(/(?<=^https?:\/\/)127\.0\.0\.1(?=:|$)/, 'localhost');

function end(response: ServerResponse, status: number, body?: string): void {
  response.writeHead(status).end(body);
}

/** Looks only at the end of the path: the command line and the Web UI prepend the path of the configured address. */
function workOf(
  { method, url = '' }: IncomingMessage,
  codec: PayloadCodec,
): ((payloads: Payload[]) => Promise<Payload[]>) | undefined {
  if (method !== 'POST') return undefined;
  const { pathname } = new URL(url, 'http://localhost');
  if (pathname.endsWith('/encode')) return async (payloads) => codec.encode(payloads);
  if (pathname.endsWith('/decode')) return async (payloads) => codec.decode(payloads);
  return undefined;
}

function isAllowed({ headers }: IncomingMessage, token: string | undefined): boolean {
  if (token === undefined) return true;
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Error('the request is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function toJson({ metadata, data }: Payload): object {
  const texts = Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)]);
  return { metadata: Object.fromEntries(texts), ...(data != null && { data: base64(data) }) };
}

const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');
