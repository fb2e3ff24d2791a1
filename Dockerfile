# Build with `docker build -t gatehouse .`
# test/image carries this file out without Docker. For that, RUN lines stay in their folder and name no absolute path.

FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
# Only what the service runs on stays. The image has a Node of its own, so the pinned ones go: by name, since
# `--omit=optional` would take argon2 along. Types and source maps go too: they are nearly half of what is left.
RUN npm prune --omit=dev --ignore-scripts && rm -rf node_modules/node-linux-* node_modules/node-win-* node_modules/.bin
RUN find dist node_modules -type f \( -name '*.ts' -o -name '*.[cm]ts' -o -name '*.map' \) -delete
# `gatehouse` for the PATH, and the folder that a new volume takes its owner and mode from.
RUN ln -s gatehouse.js bin/gatehouse && mkdir -m 700 data

# Node's program alone, on the same Debian: npm, yarn and the headers (67 MB by themselves) have no business here.
FROM debian:13.7-slim
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/bin ./bin
COPY --from=build /app/dist ./dist
COPY --from=build --chown=65532:65532 /app/data /data
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin NODE_ENV=production
ENV GATEHOUSE_HOST=0.0.0.0 GATEHOUSE_DATA=/data/gatehouse.db
USER 65532:65532
VOLUME /data
EXPOSE 50051 8080
# Under TLS any certificate will do, this is no secret; that the server asks for ours is a sign of life as well.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "const env = process.env; require(env.GATEHOUSE_TLS_CERT ? 'https' : 'http').get({ host: '127.0.0.1', port: env.GATEHOUSE_HTTP_PORT || 8080, path: '/healthz', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', ({ code }) => process.exit(/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code) ? 0 : 1))"]
CMD ["node", "dist/main.js"]
