#!/usr/bin/env bash
# Measures InternVL3-8B on a GPU host, from the folder that bundle.sh wrote. A step that is done is left out when called
# again, so a sitting may be cut into calls of any length. Results: $WORK/results (WORK is /tmp/sitting by default).
# usage: session.sh BUDGET_S STEP…      steps: unpack doctor eager graphs bare kill9 ctrlc, on two GPUs: tp2 dp2
#
# A forerunner of this script made docs/evidence/internvl3-h200x1.md, second sitting: the same steps in the same words,
# but its kill9 struck before requests were in flight. This text itself, and tp2 and dp2 at all, have not run on a GPU.
set -u
usage='usage: session.sh BUDGET_S STEP…'
budget=${1:?$usage} here=$(cd "$(dirname "$0")" && pwd)
shift
WORK=${WORK:-/tmp/sitting} URL=http://127.0.0.1:8000
results=$WORK/results model=$WORK/internvl3-8b
mkdir -p "$results" "$WORK/done" "$WORK/cwd"
export PATH=$WORK/env/bin:$PATH HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0 PYTHONUNBUFFERED=1
dummy=("model.path=$model" serve.load_format=dummy 'serve.hf_overrides={tie_word_embeddings: false}')
three=(benchmark.guide.repeat=3 benchmark.busy.repeat=3)
one=(hardware=auto parallelism.tp=1 "${dummy[@]}")

left() { echo $((budget - SECONDS)); }
say() { printf '%4d s  %s\n' "$SECONDS" "$*" | tee -a "$results/summary.txt"; }
since() { python3 -c 'import sys, time; print(f"{time.time() - float(sys.argv[1]):.1f}")' "$1"; }
used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | sort -n | tail -n 1; }   # MiB, of the fullest
after() { echo "GPU after: $(used) MiB; vLLM processes on this host: $(pgrep -fc 'VLLM::|vllm serve')"; }
watch() {   # NAME: memory and utilisation, twice a second, until the step ends
  nvidia-smi --query-gpu=timestamp,index,memory.used,utilization.gpu --format=csv,noheader -lms 500 > "$results/$1.smi.csv" &
  watcher=$!
}

measure() {   # NAME WORDS…: one recipe-run, torn down by TERM shortly before the budget ends
  local name=$1 code
  shift
  echo "GPU before: $(used) MiB"
  watch "$name"
  timeout -k 25 $(($(left) - 20)) recipe-run "$@" "report.folder=$results/runs/$name" > "$results/$name.screen" 2>&1
  code=$?
  echo "exit $code; $(after)"
  tail -n 4 "$results/$name.screen"
  ((code == 0 || code == 4))   # 4: measured, and nothing was judged
}

unpack() {
  mkdir -p "$WORK/site"
  xz -dc "$here/model.tar.xz" | tar xf - -C "$WORK" || return 1
  xz -dc -T0 "$here/site.tar.xz" | tar xf - -C "$WORK/site" && python3 "$here/environment.py" "$WORK/env" "$WORK/site"
}
doctor() { recipe-run doctor --json > "$results/doctor.json" && recipe-run doctor --flags; }
eager() { measure eager recipe=internvl3 "${one[@]}" benchmark.guide.repeat=3; }
graphs() { measure graphs recipe=internvl3-graphs "${one[@]}" "${three[@]}"; }
tp2() { measure tp2 recipe=internvl3-graphs hardware=auto parallelism.tp=2 "${dummy[@]}" "${three[@]}"; }
dp2() { measure dp2 recipe=internvl3-graphs hardware=auto parallelism.tp=1 parallelism.dp=2 "${dummy[@]}" "${three[@]}"; }

bare() {   # the server of `eager`, started by hand; ready when it has answered, as recipe-run counts it
  local start server code
  start=$(date +%s.%N)
  CUDA_VISIBLE_DEVICES=0 vllm serve "$model" --enforce-eager --host 0.0.0.0 --port 8000 --load-format dummy \
    --hf-overrides '{"tie_word_embeddings": false}' --tensor-parallel-size 1 --data-parallel-size 1 > "$results/bare.log" 2>&1 &
  server=$!
  until curl -sf -o /dev/null "$URL/v1/completions" --json "{\"model\": \"$model\", \"prompt\": \"a\", \"max_tokens\": 1}"; do
    if ! kill -0 "$server" || (($(left) < 30)); then kill "$server"; return 1; fi
    sleep 0.25
  done
  echo "ready after $(since "$start") s"
  measure bare recipe=internvl3 engine=attach "engine.url=$URL" "model.path=$model" serve.load_format=dummy benchmark.guide.repeat=3
  code=$?
  kill "$server"
  wait "$server"
  after
  return $code
}

kill9() {   # the API server, while it answers; how soon is the GPU empty, and recipe-run over?
  local runner server start code
  watch kill9
  recipe-run recipe=internvl3-graphs "${one[@]}" benchmark.guide.num_prompts=2000 benchmark.busy=null "timeouts.run_s=$(left)" \
    "report.folder=$results/runs/kill9" > "$results/kill9.screen" 2>&1 &
  runner=$!
  until running; do kill -0 $runner || return 1; sleep 0.2; done
  server=$(pgrep -P $runner -f 'vllm serve' | head -n 1)
  echo "$(used) MiB, $(curl -s "$URL/metrics" | grep '^vllm:num_requests_running'); kill -9 $server"
  start=$(date +%s.%N)
  kill -9 "$server"
  until (($(used) < 1000)) || (($(left) < 10)); do sleep 0.05; done
  echo "GPU at $(used) MiB after $(since "$start") s"
  wait $runner
  code=$?
  echo "recipe-run over after $(since "$start") s, exit $code (3 wanted); $(after)"
  ((code == 3))
}
running() { curl -s "$URL/metrics" | awk '/^vllm:num_requests_running/ && $2 >= 10 { found = 1 } END { exit !found }'; }

ctrlc() {   # while it loads
  local runner start code
  recipe-run recipe=internvl3-graphs "${one[@]}" "timeouts.run_s=$(left)" \
    "report.folder=$results/runs/ctrlc" > "$results/ctrlc.screen" 2>&1 &
  runner=$!
  until (($(used) > 3000)); do kill -0 $runner || return 1; sleep 0.2; done
  echo "SIGINT at $(used) MiB"
  start=$(date +%s.%N)
  kill -INT $runner
  wait $runner
  code=$?
  echo "over after $(since "$start") s, exit $code (130 wanted); $(after)"
  ((code == 130))
}

say "budget $budget s: $*"
for step in "$@"; do
  [[ " unpack doctor eager graphs bare kill9 ctrlc tp2 dp2 " == *" $step "* ]] || { echo "no step $step; $usage" >&2; exit 2; }
  [ -e "$WORK/done/$step" ] && continue
  started=$SECONDS how='NOT FINISHED'
  (trap '[ -z "${watcher-}" ] || kill "$watcher"' EXIT; cd "$WORK/cwd" && "$step") > "$results/$step.out" 2>&1 \
    && touch "$WORK/done/$step" && how='done'
  say "$how $step: $((SECONDS - started)) s"
  tail -n 12 "$results/$step.out"
done
say "$(left) s left"
