# docker build -t vitrine . && docker run --rm -p 127.0.0.1:8501:8501 -v vitrine-hub:/home/vitrine/.cache vitrine
FROM python:3.13-slim

RUN useradd --create-home vitrine
WORKDIR /home/vitrine/app

# PyTorch for the processor alone is a tenth as large as the usual one; an index that has it is told by
# --build-arg TORCH_INDEX=…, and without one the usual is taken.
ARG TORCH_INDEX=""
COPY requirements.txt .
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep ^torch== requirements.txt)" \
    && sed '/^# its tests/,$d' requirements.txt | pip install --no-cache-dir -r /dev/stdin

COPY --chown=vitrine . .
USER vitrine
RUN mkdir -p /home/vitrine/.cache

ENV STREAMLIT_SERVER_ADDRESS=0.0.0.0 STREAMLIT_SERVER_HEADLESS=true
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
CMD ["streamlit", "run", "app.py"]
