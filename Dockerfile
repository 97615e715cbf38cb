# One image for a laptop or a GPU. The papers' default runs need no download.
#
#   docker build -t landmarks .
#   docker run --rm -v "$PWD/runs:/landmarks/runs" landmarks \
#       python experiments/dqn_atari.py --config configs/dqn_atari.py
#
# With a GPU: docker build --build-arg EXTRAS=cuda13 -t landmarks . && docker run --gpus all ...
FROM python:3.12-slim

ARG EXTRAS=""
# git tells a result which commit it was made with.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /landmarks
COPY . .
RUN python -m pip install --no-cache-dir --editable ".${EXTRAS:+[$EXTRAS]}" \
    && git config --global --add safe.directory /landmarks

ENV LANDMARKS_DATA=/data
RUN mkdir -p /data
CMD ["landmarks", "papers"]
