# Nextlabel, with PyTorch for the CPU or for CUDA by build argument. How to build and run it: docs/docker.md
ARG BASE_IMAGE=python:3.12-slim-bookworm

# PyTorch's pin by itself, so that other changes of the requirements do not install PyTorch again.
FROM ${BASE_IMAGE} AS pins
COPY requirements/model.txt /
RUN grep '^torch==' /model.txt > /torch.txt

FROM ${BASE_IMAGE} AS packages
# Where PyTorch comes from: PyTorch's own index has a build for the CPU, PyPI the one for CUDA. Empty: pip's default.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /venv
COPY --from=pins /torch.txt /
# PyTorch brings its own tests, and headers for those who compile against it: 190 MB that nothing here uses.
RUN pip --python /venv/bin/python install ${TORCH_INDEX_URL:+--index-url "${TORCH_INDEX_URL}"} -r /torch.txt \
    && torch=$(echo /venv/lib/python3*/site-packages/torch) \
    && rm -rf "${torch}"/test "${torch}"/include "${torch}"/bin/test_* "${torch}"/bin/protoc*
COPY requirements /requirements
COPY requirements.txt /
# EXTRA=ray: for RAY_ADDRESS, and for the nodes of that cluster.
ARG EXTRA=
RUN pip --python /venv/bin/python install -r /requirements.txt ${EXTRA:+-r "/requirements/${EXTRA}.txt"}

FROM ${BASE_IMAGE} AS wheel
COPY . /source
RUN pip wheel --no-deps --no-cache-dir --wheel-dir /wheel /source

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Nextlabel" \
      org.opencontainers.image.description="The live active-learning loop for Label Studio Community" \
      org.opencontainers.image.licenses="Apache-2.0"
# Everything that is written lies in /data: versions, the job queue, base checkpoints. The code belongs to root.
RUN groupadd --gid 10001 nextlabel \
    && useradd --uid 10001 --gid nextlabel --no-create-home --home-dir /data --shell /usr/sbin/nologin nextlabel \
    && install --directory --owner=nextlabel --group=nextlabel /data
COPY --from=packages /venv /venv
# HOST: who gets in is decided by which ports are published, and by BASIC_AUTH_USER and BASIC_AUTH_PASS.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    MODEL_DIR=/data \
    HF_HOME=/data/hub
# A layer of its own after the packages, so that a change of the code costs this one alone.
COPY --from=wheel /wheel /wheel
RUN pip --python /venv/bin/python install --no-deps --no-index --no-cache-dir /wheel/*.whl
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 9090
# Not through a proxy, even where the environment names one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import *; build_opener(ProxyHandler({})).open('http://localhost:9090/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "nextlabel"]
CMD ["serve"]
