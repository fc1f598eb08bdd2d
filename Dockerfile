# syntax=docker/dockerfile:1
# One image for every process: `docker run antrean services.quota api`.

FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir "uv==0.13.*"
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# Dependencies first: they change less often than the code, and only the locked ones, without the embedded stack.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project
COPY kernel ./kernel
COPY contracts ./contracts
COPY services ./services
COPY ops ./ops
COPY deploy/seed ./deploy/seed
RUN .venv/bin/python -m compileall -q kernel contracts services ops

FROM python:3.11-slim-bookworm
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root. Nothing under /app is his to write.
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]
CMD ["ops", "--help"]
