# Laconic for CPU: the same pinned environment as `make setup`.
#   docker build -t laconic .
#   docker run --rm --shm-size=2g -v laconic-home:/home/laconic/run laconic demo
FROM python:3.11-slim-bookworm

# g++: DeepSpeed compiles its CPU collective on first use; libgomp and numactl: vLLM's CPU build.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libgomp1 libnuma1 procps \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 laconic \
    && mkdir -p /opt/laconic /home/laconic/run \
    && chown laconic:laconic /opt/laconic /home/laconic/run
USER laconic
WORKDIR /opt/laconic

# The packages change less often than the code: a layer of their own.
ARG LACONIC_TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --chown=laconic:laconic requirements requirements
COPY --chown=laconic:laconic scripts scripts
RUN UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 scripts/setup.sh --dependencies-only
COPY --chown=laconic:laconic . .
RUN UV_NO_CACHE=1 scripts/setup.sh

ENV PATH=/opt/laconic/.venv/bin:$PATH \
    LACONIC_HOME=/home/laconic/run
WORKDIR /home/laconic/run
VOLUME ["/home/laconic/run"]
ENTRYPOINT ["laconic"]
CMD ["--help"]
