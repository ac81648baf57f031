# Plain Dockerfile syntax: it builds with BuildKit and with the classic builder of Docker 20.10 alike.

# Node 24.21.0 on Debian 12. The digest fixes what is built on, whatever the tag names later; CONTRIBUTING.md says how it is
# renewed. Another image, such as one of your own registry: --build-arg BASE_IMAGE=…
ARG BASE_IMAGE=node:24-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

# 1. The packages that the service needs at run time. npm, the lockfile and its cache stay behind in this stage.
FROM ${BASE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# --omit=optional leaves out the Node binaries that package.json pins for checkouts: the base image is Node.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

# 2. The service: Node runs src/ as it is, so there is no build step.
FROM ${BASE_IMAGE}
# Nothing installs packages at run time; what is not there cannot be exploited or reported by a scanner. The list of
# Debian's packages stays (/var/lib/dpkg), so that a scanner sees what is there. Nothing needs to become root either.
# /data belongs to group 0 too, for OpenShift, which runs containers under a uid of its own choice, always in that group.
# Where the service's user owns the folder, the service closes it to everybody else when it starts.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
      /usr/bin/apt* /usr/bin/dpkg* /usr/lib/apt /etc/apt /var/lib/apt /var/cache/apt \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && install -d -m 0770 -o 1000 -g 0 /data

WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY schemas ./schemas
COPY src ./src
# A checkout on Windows or under a strict umask may have lost bits that the service's user needs.
RUN chmod -R a+rX package.json schemas src && chmod 0755 src/main.ts \
 && ln -s /app/src/main.ts /usr/local/bin/apono-sentinel

ENV NODE_ENV=production \
    DATA_DIR=/data \
    SQLITE_TMPDIR=/data \
    NODE_OPTIONS="--max-semi-space-size=8 --disable-sigusr1" \
    NODE_COMPILE_CACHE=/app/.compile-cache
# Fills the compile cache, which a read-only container cannot: it starts in about 100 ms less, and so does each health
# check, and the service needs 40 MB less of memory, since no thread of it needs a compiler. Node keys the cache by its version, the user and the processor, and compiles anew, without a word, where they
# differ. So that user makes it, and then loses it: what runs must not be able to change what runs next.
RUN install -d -o 1000 -g 1000 .compile-cache \
 && setpriv --reuid 1000 --regid 1000 --clear-groups \
      node --input-type=module -e "import { readdirSync } from 'node:fs'; \
        for (const file of readdirSync('src', { recursive: true })) \
          if (file.endsWith('.ts') && file !== 'main.ts') await import('/app/src/' + file);" \
 && setpriv --reuid 1000 --regid 1000 --clear-groups apono-sentinel --version \
 && chown -R 0:0 .compile-cache && chmod -R u+rwX,go=rX .compile-cache

USER 1000:1000
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["apono-sentinel", "healthcheck"]
ENTRYPOINT ["apono-sentinel"]
CMD ["serve"]

# Last, so that a new version or date does not rebuild the layers above.
ARG VERSION=0.0.0-unversioned
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="apono-sentinel" \
      org.opencontainers.image.description="Takes Apono's webhooks and delivers them to Microsoft Sentinel, durably and completely." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
