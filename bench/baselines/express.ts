/** The least that Express does: parses JSON and answers 200. Nothing is authenticated, checked or kept. */
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import express from 'express';

const app = express();
app.use(express.json({ limit: '6mb' }));
app.post('/', (_request, response) => {
  response.status(200).json({ status: 'accepted' });
});
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit());
