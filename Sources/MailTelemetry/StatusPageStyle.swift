// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The page's style sheet.
enum StatusPageStyle {
    static let css = """
        :root { color-scheme: light dark; --paper: #fbfaf8; --card: #fff; --ink: #1c1b1a; --faint: #6b6661;
          --rule: #e4e0da; --line: #0b6e63; --wash: #0b6e6322; --good: #0a6b3d; --bad: #b3261e; --wait: #8a5a00; }
        @media (prefers-color-scheme: dark) {
          :root { --paper: #161513; --card: #201f1c; --ink: #eceae6; --faint: #a39d95; --rule: #35322e;
            --line: #5fd0c1; --wash: #5fd0c122; --good: #6fd89d; --bad: #ff8f85; --wait: #f0bd5b; }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--paper); color: var(--ink);
          font: 1rem/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
        header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
        h1 { font-size: 1.5rem; margin: 0; }
        h2 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
        h3 { font-size: .8125rem; font-weight: 500; margin: 0; color: var(--faint); }
        p { margin: 0; }
        a { color: var(--line); }
        .faint { color: var(--faint); font-size: .875rem; }
        .state { font-weight: 600; }
        .state::before { content: "●"; margin-right: .35em; }
        .state.good { color: var(--good); }
        .state.bad { color: var(--bad); }
        .state.wait { color: var(--wait); }
        .notice { padding: .75rem; border: 1px solid var(--rule); border-radius: .5rem; margin-top: 1rem; }
        .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
          white-space: nowrap; }
        .figures { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
        .figure { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem;
          min-width: 0; }
        .value { font-size: 1.75rem; font-weight: 600; line-height: 1.3; white-space: nowrap; }
        .value small { font-size: 1rem; font-weight: 400; color: var(--faint); }
        svg { display: block; width: 100%; height: 2rem; overflow: visible; }
        svg path.area { fill: var(--wash); stroke: none; }
        svg path.edge { fill: none; stroke: var(--line); stroke-width: 1.5; vector-effect: non-scaling-stroke;
          stroke-linejoin: round; }
        table { width: 100%; border-collapse: collapse; }
        th, td { text-align: left; padding: .35rem .5rem .35rem 0; border-bottom: 1px solid var(--rule);
          font-weight: 400; }
        thead th { color: var(--faint); font-size: .875rem; }
        .number { text-align: right; padding-right: 1.5rem; width: 7rem; }
        thead th.number { width: auto; }
        @media (max-width: 40rem) {
          .number { width: auto; padding-right: .5rem; }
          section { overflow-x: auto; }
        }
        dl { display: grid; gap: .5rem 1.5rem; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); margin: 0; }
        dt { color: var(--faint); font-size: .875rem; }
        dd { margin: 0; font-weight: 600; }
        footer { margin: 2rem 0 1rem; }
        .stale main { opacity: .5; }
        """
}
