# Build with `docker build -t gatehouse .`
FROM node:24.21.0-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
# The image has a Node of its own, so the pinned ones go. By name: `--omit=optional` would take argon2 along.
RUN npm prune --omit=dev --ignore-scripts && rm -rf node_modules/node-linux-* node_modules/node-win-* node_modules/.bin

FROM node:24.21.0-slim
ENV NODE_ENV=production GATEHOUSE_HOST=0.0.0.0 GATEHOUSE_DATA=/data/gatehouse.db
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/bin ./bin
COPY --from=build /app/dist ./dist
RUN mkdir -p /data && chown 65532:65532 /data && ln -s /app/bin/gatehouse.js /usr/local/bin/gatehouse
USER 65532:65532
VOLUME /data
EXPOSE 50051 8080
# Under TLS any certificate will do, this is no secret; that the server asks for ours is a sign of life as well.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "const env = process.env; require(env.GATEHOUSE_TLS_CERT ? 'https' : 'http').get({ host: '127.0.0.1', port: env.GATEHOUSE_HTTP_PORT || 8080, path: '/healthz', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', ({ code }) => process.exit(/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code) ? 0 : 1))"]
CMD ["node", "dist/main.js"]
