# ADDNet in a container, installed from the wheel of this checkout. docs/docker.md has more.
#
#   docker build -t addnet .                                    # computes on the CPU
#   docker build -t addnet-cuda --build-arg DEVICE=cuda .       # on NVIDIA GPUs; run with --gpus all
#   docker build -t addnet-serve --target serve .               # the service
#
#   docker run --rm -v "$PWD":/data addnet predict clip.mp4
#   docker run --rm -p 127.0.0.1:8000:8000 -e ADDNET_TOKEN addnet-serve

# the version that constraints.txt was tested with
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS wheel
WORKDIR /build
COPY pyproject.toml README.md LICENSE .gitignore ./
COPY configs configs
COPY src src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist .


FROM python:${PYTHON}-slim-bookworm AS base
# cpu | cuda
ARG DEVICE=cpu
ARG EXTRAS=serve,export
# uv knows where PyTorch has its builds for CPUs; those of the package index come with CUDA. No system packages: the
# wheels of dlib, OpenCV and PyAV bring all but what a slim image has (tests/test_docker.py looks)
ARG UV=0.13.9
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    --mount=type=bind,source=constraints.txt,target=/tmp/constraints.txt \
    case "${DEVICE}" in \
      cpu) backend=(--torch-backend=cpu) ;; \
      cuda) backend=() ;; \
      *) echo "DEVICE=${DEVICE} is not valid; use cpu or cuda" >&2; exit 1 ;; \
    esac \
    && python -m pip install --no-cache-dir "uv==${UV}" \
    && uv pip install --system --no-cache "${backend[@]}" -c /tmp/constraints.txt \
       "$(echo /dist/addnet-*.whl)[${EXTRAS}]" \
    && python -m pip uninstall --yes uv \
    && useradd --create-home --uid 1000 --user-group addnet \
    && install --directory --owner=addnet --group=addnet /data
# so that it also runs as another user (--user "$(id -u):$(id -g)"), who has no home in here
ENV USER=addnet HF_HOME=/tmp/huggingface MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
WORKDIR /data
USER 1000:1000
ENTRYPOINT ["addnet"]


FROM base AS serve
EXPOSE 8000
# 127.0.0.1, the default of the program, would be reached from within the container alone; the token is required
CMD ["serve", "host=0.0.0.0", "port=8000", "token=${oc.env:ADDNET_TOKEN}"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]


# what is built unless --target says otherwise
FROM base AS program
CMD ["--help"]
