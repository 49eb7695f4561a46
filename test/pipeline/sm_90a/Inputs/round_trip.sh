# round_trip.sh FILE: lowers it pass by pass; after each the text that is read
# again, and what is read from bytecode, must be the text.
set -e
last=$1
number=0
for passes in 'attn-bind-params,canonicalize,cse,convert-attn-to-online{target=sm_90a},canonicalize,cse' \
    'convert-online-to-attn-gpu' 'canonicalize,cse' \
    'func.func(attn-gpu-split-roles)' 'func.func(cse,attn-gpu-flatten-stream)' 'canonicalize,cse' \
    'func.func(attn-gpu-classify-uniform)' 'canonicalize,cse' 'func.func(attn-gpu-place-awaits)' \
    'func.func(attn-gpu-budget)' 'convert-attn-gpu-to-nvvm'; do
  number=$((number + 1))
  next=$1.$number
  fovea-opt "$last" -pass-pipeline="builtin.module($passes)" -o "$next"
  fovea-opt "$next" | diff "$next" -
  fovea-opt "$next" -emit-bytecode -o "$next.bc"
  fovea-opt "$next.bc" | diff "$next" -
  last=$next
done
grep -q wgmma "$last"
