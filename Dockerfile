# One image for every process; the command says which.
FROM python:3.12-slim
WORKDIR /srv/maskrelay
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY maskrelay maskrelay
COPY api api
COPY worker worker
COPY simulator simulator
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --uid 10001 --create-home maskrelay \
    && install -d -o maskrelay /data
USER maskrelay
ENV PYTHONUNBUFFERED=1
CMD ["python", "-m", "uvicorn", "api.app:create", "--factory", "--host", "0.0.0.0", "--port", "8080"]
