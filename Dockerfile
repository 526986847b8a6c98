# Three small images: `docker build --target api .`, `--target worker .`, `--target simulator .`
#
# No step needs a shell; what is installed is pinned with hashes by a lock of its own, and comes as wheels alone; no image
# holds pip in its environment. A process writes to /tmp and nowhere else, so the root may be read-only.
# The base is named by its digest, so that a build never changes by itself; --build-arg PYTHON=… takes another.
ARG PYTHON=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_ONLY_BINARY=:all:
WORKDIR /build

FROM build AS wheel
COPY requirements/build.lock ./requirements/
RUN ["python", "-m", "venv", "--without-pip", "/build/venv"]
RUN ["python", "-m", "pip", "--python", "/build/venv", "install", "--require-hashes", "--requirement", "requirements/build.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY maskrelay maskrelay
RUN ["/build/venv/bin/python", "-m", "hatchling", "build", "--target", "wheel", "--directory", "/build/dist"]
COPY tools/sbom.py ./
COPY requirements/api.lock requirements/worker.lock requirements/simulator.lock ./requirements/
RUN ["/build/venv/bin/python", "sbom.py", "/build/sbom"]

FROM build AS api-packages
COPY requirements/api.lock ./requirements/
RUN ["python", "-m", "venv", "--without-pip", "/opt/maskrelay"]
RUN ["python", "-m", "pip", "--python", "/opt/maskrelay", "install", "--require-hashes", "--requirement", "requirements/api.lock"]
COPY --from=wheel /build/dist /build/dist
RUN ["python", "-m", "pip", "--python", "/opt/maskrelay", "install", "--no-deps", "--no-index", "--find-links", "/build/dist", "maskrelay"]

FROM build AS worker-packages
COPY requirements/worker.lock ./requirements/
RUN ["python", "-m", "venv", "--without-pip", "/opt/maskrelay"]
RUN ["python", "-m", "pip", "--python", "/opt/maskrelay", "install", "--require-hashes", "--requirement", "requirements/worker.lock"]
COPY --from=wheel /build/dist /build/dist
RUN ["python", "-m", "pip", "--python", "/opt/maskrelay", "install", "--no-deps", "--no-index", "--find-links", "/build/dist", "maskrelay"]

FROM build AS simulator-packages
COPY requirements/simulator.lock ./requirements/
RUN ["python", "-m", "venv", "--without-pip", "/opt/maskrelay"]
RUN ["python", "-m", "pip", "--python", "/opt/maskrelay", "install", "--require-hashes", "--requirement", "requirements/simulator.lock"]

FROM ${PYTHON} AS runtime
LABEL org.opencontainers.image.title="maskrelay" \
      org.opencontainers.image.description="An asynchronous job service in front of MedImageParse. For research use only." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/maskrelay/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /srv/maskrelay
# A number, so that Kubernetes can see that it is not root; nobody of that number owns anything here.
USER 10001:10001
ENTRYPOINT ["python", "-m"]

FROM runtime AS api
COPY --from=api-packages /opt/maskrelay /opt/maskrelay
COPY --from=wheel /build/sbom/api.cdx.json /usr/share/doc/maskrelay/sbom.cdx.json
COPY api api
EXPOSE 8080
CMD ["api", "--port", "8080", "--grace", "30"]

FROM runtime AS simulator
COPY --from=simulator-packages /opt/maskrelay /opt/maskrelay
COPY --from=wheel /build/sbom/simulator.cdx.json /usr/share/doc/maskrelay/sbom.cdx.json
COPY simulator simulator
EXPOSE 8000
CMD ["simulator", "--host", "0.0.0.0", "--port", "8000", "--key", "simulator-key"]

# The last one is what a build without --target makes.
FROM runtime AS worker
COPY --from=worker-packages /opt/maskrelay /opt/maskrelay
COPY --from=wheel /build/sbom/worker.cdx.json /usr/share/doc/maskrelay/sbom.cdx.json
COPY worker worker
CMD ["worker", "segment"]
