FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# the folder is made here so that a volume in its place belongs to the user as well
RUN useradd --create-home --uid 10001 dispatcher \
    && install --directory --owner=dispatcher /home/dispatcher/.local/share/dispatcher

COPY pyproject.toml README.md /src/
COPY dispatcher /src/dispatcher
COPY jobs /src/jobs
RUN pip install /src && rm -r /src

USER dispatcher
WORKDIR /home/dispatcher

# 0: settings are good, and ledger and queue answer; 5: one of them does not
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s CMD ["dispatcher", "health"]
# in this form signals reach it: SIGTERM lets what is on its way come in
ENTRYPOINT ["dispatcher"]
CMD ["worker"]
