# brainclock as a BIDS App, with its weights inside. Needs no network, no root and no writable root when it runs:
#
#   docker build --tag brainclock .
#   docker run --rm --network none --read-only --tmpfs /tmp --user "$(id -u):$(id -g)" \
#     -v /data/study:/bids:ro -v /data/ages:/out brainclock /bids /out participant

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
# torch without CUDA: the second index has it under the version that constraints.txt names
RUN python -m venv /opt/brainclock \
    && /opt/brainclock/bin/pip install --no-cache-dir --constraint constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu '.[cluster]' \
    && /opt/brainclock/bin/python -m compileall -q /opt/brainclock

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="brainclock" \
      org.opencontainers.image.description="The age of a brain from a T1-weighted MRI scan. Not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="https://brainclock.readthedocs.io"
COPY --from=build /opt/brainclock /opt/brainclock
# whoever runs it may have no home, and /tmp may be the only place to write
ENV PATH=/opt/brainclock/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
RUN brainclock doctor
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["brainclock"]
CMD ["--help"]
