#!/usr/bin/env bash
# What a careful person types to do by hand what `recipe-run recipe=internvl3-tiny hardware=cpu` does: serve, wait,
# ask, measure, stop. The flags and the questions are read from the plan, so that both sides do the same work.
# usage: by_hand.sh PLAN.json FOLDER
set -euo pipefail
plan=$1 folder=$2
read_plan() { python3 -c "import json,shlex,sys; plan=json.load(open('$plan')); $1"; }

eval "$(read_plan 'print("\n".join(f"export {k}={shlex.quote(v)}" for k, v in plan["processes"][0]["env"].items()))')"
eval "serve=($(read_plan 'print(shlex.join(plan["processes"][0]["argv"]))'))"
eval "bench=($(read_plan 'print(shlex.join(plan["benchmarks"][0]["argv"]))'))"
url=$(read_plan 'print(plan["url"])')

"${serve[@]}" >"$folder/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
until curl -sf -o /dev/null "$url/health"; do kill -0 "$server"; sleep 0.2; done

read_plan '
import base64
for check in plan["checks"]:
    sampling = {k: check[k] for k in ("max_tokens", "temperature") if k in check}
    if check["uses"] == "models":
        continue
    if check["uses"] == "completion":
        print("completions", json.dumps({"prompt": check["prompt"], **sampling}), sep="\t")
        continue
    content = check["prompt"]
    if check["uses"] == "image":
        data = base64.b64encode(open(check["image"], "rb").read()).decode()
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        content = [image, {"type": "text", "text": check["prompt"]}]
    system = [{"role": "system", "content": check["system"]}] if "system" in check else []
    messages = [*system, {"role": "user", "content": content}]
    print("chat/completions", json.dumps({"messages": messages, **sampling}), sep="\t")
' >"$folder/questions.tsv"
curl -sf "$url/v1/models" >"$folder/answers.txt"
while IFS=$'\t' read -r path body; do
  curl -sf "$url/v1/$path" -H "Content-Type: application/json" -d "$body" >>"$folder/answers.txt"
done <"$folder/questions.tsv"
grep -q Paris "$folder/answers.txt"

"${bench[@]}" --save-result --result-dir "$folder" --result-filename result.json >"$folder/bench.log" 2>&1

kill "$server"
wait "$server" || true
trap - EXIT
while curl -s -o /dev/null "$url/health"; do sleep 0.1; done
