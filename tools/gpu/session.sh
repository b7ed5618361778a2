#!/usr/bin/env bash
# Measures InternVL3-8B on all GPUs of a host, from the folder that bundle.sh wrote. A step that is done is left out when
# called again, so a sitting may be cut into calls of any length. Results: $WORK/results (WORK is /tmp/sitting by default).
# usage: session.sh BUDGET_S STEP…      steps: unpack doctor eager graphs bare dp ctrlc plain pair
#
# `eager graphs bare` is A-B-A: the guide's flags, CUDA graphs, the guide's flags again on a server started by hand.
# `graphs` ends with a kill -9 of the API server while it answers; `pair` gets ready as `bare` does, through recipe-run.
set -u
usage='usage: session.sh BUDGET_S STEP…'
budget=${1:?$usage} here=$(cd "$(dirname "$0")" && pwd)
shift
for step in "$@"; do
  [[ " unpack doctor eager graphs bare dp ctrlc plain pair " == *" $step "* ]] || { echo "no step $step; $usage" >&2; exit 2; }
done
command -v nvidia-smi > /dev/null || { echo 'no nvidia-smi here: session.sh measures on a GPU host' >&2; exit 2; }
WORK=${WORK:-/tmp/sitting} URL=http://127.0.0.1:8000
results=$WORK/results model=$WORK/internvl3-8b
mkdir -p "$results" "$WORK/done" "$WORK/cwd"
export PATH=$WORK/env/bin:$PATH HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0 PYTHONUNBUFFERED=1
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader | wc -l)
dummy=("model.path=$model" serve.load_format=dummy 'serve.hf_overrides={tie_word_embeddings: false}')
tp=(hardware=auto "parallelism.tp=$gpus" "${dummy[@]}")
load='uses: vllm_bench, dataset_name: random, random_input_len: 2048, random_output_len: 1024, ignore_eos: true'
again="benchmark.again={$load, max_concurrency: 10, num_prompts: 50}"    # the guide's, once more
busy="benchmark.busy={$load, max_concurrency: 64, num_prompts: 192}"     # that of internvl3-graphs

left() { echo $((budget - SECONDS)); }
say() { printf '%4d s  %s\n' "$SECONDS" "$*" | tee -a "$results/summary.txt"; }
since() { python3 -c 'import sys, time; print(f"{time.time() - float(sys.argv[1]):.1f}")' "$1"; }
used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | sort -n | tail -n 1; }   # MiB, of the fullest
after() { echo "GPU after: $(used) MiB; vLLM processes on this host: $(pgrep -fc 'VLLM::|vllm serve')"; }
watch() {   # NAME: memory and utilisation, twice a second, until the step ends
  nvidia-smi --query-gpu=timestamp,index,memory.used,utilization.gpu --format=csv,noheader -lms 500 > "$results/$1.smi.csv" &
  watcher=$!
}
start_run() {   # NAME WORDS…: one recipe-run in the background, which ends itself shortly before the budget does
  local name=$1
  shift
  echo "GPU before: $(used) MiB"
  watch "$name"
  recipe-run "$@" "timeouts.run_s=$(($(left) - 30))" "report.folder=$results/runs/$name" > "$results/$name.screen" 2>&1 &
  runner=$!
}
end_run() {   # NAME CODE…: wait for it; one of these exit codes is wanted
  local name=$1 code
  shift
  wait $runner
  code=$?
  [ -z "${struck-}" ] || echo "recipe-run over after $(since "$struck") s"
  echo "exit $code (wanted: $*); $(after)"
  tail -n 20 "$results/$name.screen"
  [[ " $* " == *" $code "* ]]
}
measure() { start_run "$@"; end_run "$1" 0 4; }   # 4: measured, and nothing was judged

unpack() {
  mkdir -p "$WORK/site"
  xz -dc "$here/model.tar.xz" | tar xf - -C "$WORK" || return 1
  xz -dc -T0 "$here/site.tar.xz" | tar xf - -C "$WORK/site" && python3 "$here/environment.py" "$WORK/env" "$WORK/site"
}
doctor() { recipe-run doctor --json > "$results/doctor.json" && recipe-run doctor --flags; }
eager() { measure eager recipe=internvl3 "${tp[@]}" "$again" "$busy"; }
dp() { measure dp recipe=internvl3-graphs hardware=auto parallelism.tp=1 "parallelism.dp=$gpus" "${dummy[@]}"; }
plain() { measure plain recipe=internvl3-graphs "${tp[@]}" serve.max_num_batched_tokens=null; }
pair() { measure pair recipe=internvl3 "${tp[@]}" benchmark=none; }

graphs() {   # two points on one server: measurements; then more of the guide's load, in which the server is killed
  local server struck
  start_run graphs -m recipe=internvl3-graphs "${tp[@]}" benchmark.guide.repeat=3 benchmark.guide.num_prompts=50,2000
  until [ -d "$(echo "$results"/runs/graphs/sweeps/*/001)" ] && running; do kill -0 $runner || return 1; sleep 0.2; done
  server=$(pgrep -P $runner -f 'vllm serve' | head -n 1)
  echo "$(used) MiB, $(curl -s "$URL/metrics" | grep '^vllm:num_requests_running'); kill -9 $server"
  struck=$(date +%s.%N)
  kill -9 "$server"
  until (($(used) < 1000)) || (($(left) < 10)); do sleep 0.05; done
  echo "GPUs at $(used) MiB after $(since "$struck") s"
  end_run graphs 3
}
running() { curl -s "$URL/metrics" | awk '/^vllm:num_requests_running/ && $2 >= 10 { found = 1 } END { exit !found }'; }

bare() {   # the server of `eager`, started by hand; ready when it has answered, as recipe-run counts it
  local start server code
  start=$(date +%s.%N)
  CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((gpus - 1))) vllm serve "$model" --enforce-eager --host 0.0.0.0 --port 8000 \
    --load-format dummy --hf-overrides '{"tie_word_embeddings": false}' --tensor-parallel-size "$gpus" \
    --data-parallel-size 1 > "$results/bare.log" 2>&1 &
  server=$!
  until curl -sf -o /dev/null "$URL/v1/completions" --json "{\"model\": \"$model\", \"prompt\": \"a\", \"max_tokens\": 1}"; do
    if ! kill -0 "$server" || (($(left) < 30)); then kill "$server"; return 1; fi
    sleep 0.25
  done
  echo "ready after $(since "$start") s"
  measure bare recipe=internvl3 engine=attach "engine.url=$URL" "model.path=$model" serve.load_format=dummy
  code=$?
  kill "$server"
  wait "$server"
  after
  return $code
}

ctrlc() {   # while it loads
  local struck
  start_run ctrlc recipe=internvl3-graphs "${tp[@]}"
  until (($(used) > 3000)); do kill -0 $runner || return 1; sleep 0.2; done
  echo "SIGINT at $(used) MiB"
  struck=$(date +%s.%N)
  kill -INT $runner
  end_run ctrlc 130
}

say "budget $budget s, $gpus GPUs: $*"
for step in "$@"; do
  [ -e "$WORK/done/$step" ] && continue
  started=$SECONDS how='NOT FINISHED'
  (trap '[ -z "${watcher-}" ] || kill "$watcher"' EXIT; cd "$WORK/cwd" && "$step") > "$results/$step.out" 2>&1 \
    && touch "$WORK/done/$step" && how='done'
  say "$how $step: $((SECONDS - started)) s"
  tail -n 12 "$results/$step.out"
done
say "$(left) s left"
