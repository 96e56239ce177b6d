#!/bin/sh
# The files for a fleet work: Prometheus accepts the alert rules, and they fire when they should; the dashboard and the
# rules use metrics that exist; systemd accepts the unit; and all are installed.
. "${0%/*}/lib.sh"
need python3
: "${BUILD_DIR:?}"
fleet=$SOURCE_DIR/insight/share/fleet

# Every metric that is used exists.
sed -n 's/^ *{"\(mems_[a-z_]*\)".*/\1/p; s/.*write_head(to, "\(mems_[a-z_]*\)".*/\1/p' \
    "$SOURCE_DIR/insight/serve/metrics.c" | sort -u >"$work/told"
[ "$(wc -l <"$work/told")" -gt 15 ] || fail "few metrics are told: $(cat "$work/told")"
grep -oh 'mems_[a-z_]*' "$fleet/grafana-dashboard.json" "$fleet/alerts.yml" | sort -u >"$work/asked"
[ "$(wc -l <"$work/asked")" -gt 5 ] || fail "few metrics are asked for: $(cat "$work/asked")"
[ -z "$(comm -13 "$work/told" "$work/asked")" ] || fail "nobody tells $(comm -13 "$work/told" "$work/asked")"
# So is every row, and each metric is documented.
grep -oh 'row[!=~]*\\*"[a-z_|]*' "$fleet/grafana-dashboard.json" "$fleet/alerts.yml" | sed 's/.*"//' | tr '|' '\n' |
    sort -u | while read -r row; do
    grep -qi "{\"$(echo "$row" | tr _ ' ')\"" "$SOURCE_DIR/insight/account/account.c" || fail "there is no row $row"
done
while read -r metric; do
    grep -q "$metric" "$SOURCE_DIR/docs/fleet.md" || fail "docs/fleet.md does not know $metric"
done <"$work/told"

python3 - "$fleet" <<'END' || fail "the dashboard or the profile"
import json
import sys

board = json.load(open(sys.argv[1] + '/grafana-dashboard.json'))
panels = board['panels']
assert len({panel['id'] for panel in panels}) == len(panels) >= 6
assert all(panel['targets'] and panel['title'] and panel['description'] for panel in panels)
places = [(p['gridPos']['x'], p['gridPos']['y']) for p in panels]
assert len(set(places)) == len(places) and all(p['gridPos']['x'] + p['gridPos']['w'] <= 24 for p in panels)
profile = json.load(open(sys.argv[1] + '/mems-seccomp.json'))
names = [name for rule in profile['syscalls'] for name in rule['names']]
assert len(set(names)) == len(names) and 'process_vm_readv' in names
# It can read processes, but has no means to change one.
assert not {'ptrace', 'process_vm_writev', 'pidfd_getfd', 'unlink', 'rename', 'mount', 'bpf'} & set(names)
END

"$INSIGHT" help serve >/dev/null
cmake --install "$BUILD_DIR" --prefix "$work/mems" >/dev/null
for file in share/mems/fleet/grafana-dashboard.json share/mems/fleet/alerts.yml share/mems/fleet/mems-seccomp.json \
    share/mems/fleet/kubernetes-daemonset.yaml share/mems/fleet/kubernetes-sidecar.yaml share/mems/fleet/prometheus.yml \
    lib/systemd/system/mems-serve.service; do
    [ -s "$work/mems/$file" ] || fail "$file is not installed"
done

if command -v systemd-analyze >/dev/null; then
    sed "s|^ExecStart=mems|ExecStart=$INSIGHT|; /^Documentation/d" "$fleet/mems-serve.service" >"$work/mems-serve.service"
    systemd-analyze verify "$work/mems-serve.service" >"$work/unit" 2>&1 || fail "systemd: $(cat "$work/unit")"
    ! grep mems-serve "$work/unit" || fail "systemd says something of the unit"
fi

command -v promtool >/dev/null || {
    echo "$test_name: the rules are not tried, for there is no promtool"
    exit 0
}
cp "$fleet/alerts.yml" "$fleet/prometheus.yml" "$work/"
promtool check config "$work/prometheus.yml" >"$work/promtool" 2>&1 || fail "promtool: $(cat "$work/promtool")"
cat >"$work/rules_test.yml" <<'END'
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'mems_live_bytes{instance="a",pid="1",comm="grows",cgroup="/"}', values: '1000000000+10000000x400'}
      - {series: 'mems_live_bytes{instance="a",pid="2",comm="rests",cgroup="/"}', values: '1000000000x400'}
      - {series: 'mems_resident_bytes{instance="a",pid="3",comm="keeps",cgroup="/",row="live"}', values: '300000000x400'}
      - {series: 'mems_resident_bytes{instance="a",pid="3",comm="keeps",cgroup="/",row="dirty"}', values: '600000000x400'}
      - {series: 'mems_resident_bytes{instance="a",pid="4",comm="small",cgroup="/",row="dirty"}', values: '6000000x400'}
      - {series: 'mems_resident_bytes{instance="a",pid="5",comm="holes",cgroup="/",row="live"}', values: '300000000x400'}
      - {series: 'mems_resident_bytes{instance="a",pid="5",comm="holes",cgroup="/",row="free_beside"}', values: '500000000x400'}
      - {series: 'mems_process_readable{instance="a",pid="6",comm="closed",cgroup="/"}', values: '0x400'}
      - {series: 'mems_process_readable{instance="a",pid="1",comm="grows",cgroup="/"}', values: '1x400'}
      - {series: 'mems_serve_cpu_seconds_total{instance="a"}', values: '0+0.5x400'}
      - {series: 'mems_serve_cpu_seconds_total{instance="b"}', values: '0+12x400'}
    promql_expr_test:
      - {expr: 'count by (comm) (ALERTS{alertname="HeapGrows",alertstate="firing"})', eval_time: 3h, exp_samples: [{labels: '{comm="grows"}', value: 1}]}
      - {expr: 'count by (comm) (ALERTS{alertname="HeapKeepsFreeMemory",alertstate="firing"})', eval_time: 3h, exp_samples: [{labels: '{comm="keeps"}', value: 1}]}
      - {expr: 'count by (comm) (ALERTS{alertname="HeapFragmented",alertstate="firing"})', eval_time: 3h, exp_samples: [{labels: '{comm="holes"}', value: 1}]}
      - {expr: 'count by (comm) (ALERTS{alertname="HeapNotReadable",alertstate="firing"})', eval_time: 3h, exp_samples: [{labels: '{comm="closed"}', value: 1}]}
      - {expr: 'count by (instance) (ALERTS{alertname="MemsServeTooDear",alertstate="firing"})', eval_time: 3h, exp_samples: [{labels: '{instance="b"}', value: 1}]}
END
promtool test rules "$work/rules_test.yml" >"$work/promtool" 2>&1 || fail "promtool: $(cat "$work/promtool")"
