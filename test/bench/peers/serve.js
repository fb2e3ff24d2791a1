// A server over HTTP/1.1 that gives the body of each call to one function and sends what it returns as JSON.

import http from 'node:http';

/**
 * Prints the port, and a token that is good.
 *
 * @param {string} token
 * @param {(body: any, path: string) => Promise<object>} answer
 */
export function serve(token, answer) {
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      try {
        const body = JSON.stringify(
          await answer(JSON.parse(Buffer.concat(chunks).toString()), request.url ?? ''),
        );
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        });
        response.end(body);
      } catch (error) {
        response.writeHead(500).end(String(error));
      }
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : 0, token }));
  });
}
