// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Testing

@Suite("Histograms and labels") struct HistogramTests {
    @Test("buckets are cumulative, bounds are inclusive, and the last one counts everything")
    func buckets() {
        let registry = Registry()
        let times = registry.histograms("t", "T.", labels: ["k"], buckets: Buckets([0.5, 1, 2])).with("x")
        for amount in [0.1, 0.5, 0.50001, 1, 3] { times.observe(amount) }
        let expected = """
            # HELP t T.
            # TYPE t histogram
            t_bucket{k="x",le="0.5"} 2
            t_bucket{k="x",le="1.0"} 4
            t_bucket{k="x",le="2.0"} 4
            t_bucket{k="x",le="+Inf"} 5
            t_sum{k="x"} 5.10001
            t_count{k="x"} 5

            """
        #expect(rendered(registry) == expected)
        #expect(times.total.count == 5)
    }

    @Test("without labels only le stands in the braces")
    func withoutLabels() {
        let registry = Registry()
        registry.histogram("t", "T.", buckets: Buckets([1]), unit: .one).observe(7)
        let text = rendered(registry)
        #expect(text.hasSuffix("t_bucket{le=\"1.0\"} 0\nt_bucket{le=\"+Inf\"} 1\nt_sum 7\nt_count 1\n"))
    }

    @Test("amounts that make no sense are counted and add nothing", arguments: [-1, -Double.infinity, .nan])
    func nonsense(amount: Double) {
        let registry = Registry()
        let times = registry.histogram("t", "T.", buckets: Buckets([1]))
        times.observe(amount)
        #expect(times.total.count == 1)
        #expect(times.total.sum == 0)
    }

    @Test("an infinite amount is kept as a very large one and breaks nothing")
    func infinite() {
        let registry = Registry()
        let times = registry.histogram("t", "T.", buckets: Buckets([1]))
        times.observe(.infinity)
        times.observe(2)
        #expect(times.total.count == 2)
        #expect(times.total.sum.isFinite)
        #expect(rendered(registry).contains("t_bucket{le=\"1.0\"} 0\n"))
    }

    @Test("a ladder of buckets multiplies")
    func ladder() {
        #expect(Buckets(from: 1, times: 4, count: 4).bounds == [1, 4, 16, 64])
    }

    @Test("the same label values give the same instrument")
    func sameHandle() {
        let registry = Registry()
        let family = registry.counters("c_total", "C.", labels: ["a", "b"])
        #expect(family.with("x", "y") === family.with("x", "y"))
        #expect(family.with("x", "y") !== family.with("y", "x"))
    }

    @Test("a hidden instrument counts and is exposed from when it is shown")
    func hidden() {
        let registry = Registry()
        let family = registry.counters("c_total", "C.", labels: ["n"])
        let counter = family.with("1", hidden: true)
        counter.add(2)
        #expect(rendered(registry) == "")
        family.show(["1"])
        #expect(rendered(registry).hasSuffix("\nc_total{n=\"1\"} 2\n"))
    }

    @Test("a counter of seconds adds up without drifting, and never falls")
    func seconds() {
        let registry = Registry()
        let busy = registry.counter("busy_seconds_total", "B.", unit: .seconds)
        for _ in 0..<1000 { busy.add(seconds: 0.1) }
        busy.add(seconds: -5)
        busy.add(-3)
        #expect(busy.value == 100)
    }

    @Test("nothing is lost where many threads record at once")
    func threads() async {
        let registry = Registry()
        let counter = registry.counter("c_total", "C.")
        let times = registry.histogram("t", "T.", buckets: Buckets([1]))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for step in 0..<10_000 {
                        counter.add()
                        times.observe(step % 2 == 0 ? 0.5 : 2)
                    }
                }
            }
        }
        #expect(counter.value == 80_000)
        #expect(times.total.count == 80_000)
        #expect(times.total.sum == 100_000)
        #expect(rendered(registry).contains("t_bucket{le=\"1.0\"} 40000\n"))
    }

    @Test("a second registration of a name stops the program")
    func twice() async {
        await #expect(processExitsWith: .failure) {
            let registry = Registry()
            _ = registry.gauge("a", "A.")
            _ = registry.gauge("a", "A.")
        }
        await #expect(processExitsWith: .failure) {
            let registry = Registry()
            _ = registry.histogram("t", "T.", buckets: Buckets([1]))
            _ = registry.gauge("t_sum", "T.")
        }
    }

    @Test("names that Prometheus would refuse stop the program", arguments: ["", "1a", "a-b", "ä", "a b"])
    func names(name: String) async {
        await #expect(processExitsWith: .failure) { [name] in
            _ = Registry().gauge(name, "A.")
        }
    }
}
