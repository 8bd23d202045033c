// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The page's script.
enum StatusPageScript {
    static let javaScript = #"""
        'use strict';
        (() => {
          const pointsMax = 120, series = {}, samples = [], filled = {};
          const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0}), tenths = new Intl.NumberFormat('en', {maximumFractionDigits: 1});
          const element = id => document.getElementById(id);
          const put = (id, text) => { const e = element(id); if (e.textContent !== text) e.textContent = text; };
          const rate = x => (x < 10 ? tenths : whole).format(x);

          function span(seconds) {
            if (seconds < 1) return tenths.format(seconds * 1000) + ' ms';
            if (seconds < 120) return tenths.format(seconds) + ' s';
            if (seconds < 7200) return whole.format(seconds / 60) + ' min';
            return tenths.format(seconds / 3600) + ' h';
          }

          function size(bytes) {
            const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
            let index = 0;
            while (bytes >= 1024 && index < units.length - 1) { bytes /= 1024; index += 1; }
            return tenths.format(bytes) + ' ' + units[index];
          }

          // Adds a point to a line and draws it; null is a gap.
          function draw(id, value) {
            const line = series[id] ??= [];
            line.push(value);
            if (line.length > pointsMax) line.shift();
            const svg = document.querySelector(`svg[data-line="${id}"]`);
            const top = Math.max(1e-9, ...line.filter(v => v !== null));
            let edge = '', area = '', start = null;
            const close = x => { if (start !== null) area += `L${x} 32 L${start} 32 Z`; start = null; };
            line.forEach((v, i) => {
              const x = pointsMax - line.length + i;
              if (v === null) return close(x - 1);
              const step = `${start === null ? 'M' : 'L'}${x} ${(31 - 29 * v / top).toFixed(2)}`;
              start ??= x;
              edge += step;
              area += step;
            });
            close(pointsMax - 1);
            const path = (name, d) => {
              let e = svg.querySelector('path.' + name);
              if (!e) {
                e = document.createElementNS('http://www.w3.org/2000/svg', 'path');
                e.setAttribute('class', name);
                svg.append(e);
              }
              e.setAttribute('d', d);
            };
            path('area', area);
            path('edge', edge);
          }

          // What was added to a counter over the last so many seconds, with the seconds it really took.
          function since(seconds, key) {
            const last = samples[samples.length - 1];
            const first = samples.find(s => last.at - s.at <= seconds) ?? last;
            return [last[key] - first[key], last.at - first.at];
          }

          function perSecond(key) {
            const [count, time] = since(5.5, key);
            return time > 0 ? count / time : null;
          }

          function mood(s) {
            if (!s.healthy) return ['bad', 'not healthy'];
            if (!s.ready) return ['wait', 'not ready'];
            if (s.paused) return ['wait', 'paused'];
            return ['good', 'serving'];
          }

          let spoken = '', spokenAt = 0;
          function say(state, text) {
            const now = Date.now();
            if (state === spoken && now - spokenAt < 60000) return;
            spoken = state;
            spokenAt = now;
            put('spoken', text);
          }

          function showState(kind, text) {
            element('state').className = 'state ' + kind;
            put('state', text);
            document.body.classList.toggle('stale', kind === 'bad' && text.startsWith('no answer'));
          }

          function showFigures(s) {
            put('workers', whole.format(s.workers.busy));
            put('workers-target', 'of ' + whole.format(s.workers.target));
            draw('workers', s.workers.busy);
            put('running', whole.format(s.jobs.running));
            draw('running', s.jobs.running);
            for (const [id, key] of [['rate', 'attempts'], ['accepting', 'accepted']]) {
              const value = perSecond(key);
              put(id, value === null ? '–' : rate(value));
              draw(id, value);
            }
            const [count] = since(60, 'attempts'), [time] = since(60, 'attempt_seconds');
            put('time', count > 0 ? span(time / count) : '–');
            draw('time', count > 0 ? time / count : null);
            put('oldest', s.jobs.ready > 0 ? span(s.oldest_ready_seconds) : '–');
            draw('oldest', s.oldest_ready_seconds);
          }

          function showLists(s) {
            for (const [state, count] of Object.entries(s.jobs)) {
              put('jobs-' + state, whole.format(count));
              draw('jobs-' + state, count);
            }
            put('total-accepted', whole.format(s.accepted));
            put('total-delivered', whole.format(s.delivered));
            put('total-failed', whole.format(s.gone_failed));
            put('total-rejected', whole.format(s.rejected));
            put('clients', whole.format(s.clients));
            put('spool', size(s.spool_bytes));
            // With one queue alone it is what the states tell.
            fill('queue', s.queues.length < 2 ? [] : s.queues.map(q => [
              q.name, q.paused ? ['paused', 'wait'] : ['served', 'good'], q.ready, q.running, q.scheduled,
              q.ready > 0 ? span(q.oldest_ready_seconds) : '–']));
            fill('relay', s.relays.map(relay => [
              relay.name, relay.away ? ['away', 'bad'] : relay.spared !== null ? ['spared', 'wait'] : ['up', 'good'],
              relay.waiting, relay.connections, relay.idle]));
            fill('failure', s.failures.map(f => [
              f.job, new Date(f.at * 1000).toLocaleTimeString(), f.relay || '–', [f.code || '', f.enhanced].join(' ').trim() || '–']));
          }

          // Rows of a table that is there while it has any. A cell is a text, a number, or a text with its colour.
          function fill(id, rows) {
            element(id + '-section').hidden = rows.length === 0;
            const shown = JSON.stringify(rows);
            if (filled[id] === shown) return;
            filled[id] = shown;
            element(id + '-rows').replaceChildren(...rows.map(cells => {
              const row = document.createElement('tr');
              row.append(...cells.map((cell, index) => {
                const e = document.createElement(index === 0 ? 'th' : 'td');
                if (index === 0) e.scope = 'row';
                if (typeof cell === 'number') e.className = 'number';
                if (Array.isArray(cell)) e.className = 'state ' + cell[1];
                e.textContent = typeof cell === 'number' ? whole.format(cell) : Array.isArray(cell) ? cell[0] : cell;
                return e;
              }));
              return row;
            }));
          }

          function show(s) {
            // A restart begins the counters anew.
            if (samples.length && samples[samples.length - 1].accepted > s.accepted) samples.length = 0;
            samples.push(s);
            while (samples[0].at < s.at - 70) samples.shift();
            const [kind, text] = mood(s);
            showState(kind, text);
            showFigures(s);
            showLists(s);
            put('version', s.version);
            put('at', 'as of ' + new Date(s.at * 1000).toLocaleTimeString());
            say(text, `maild is ${text}: ${s.workers.busy} of ${s.workers.target} workers busy, ${s.jobs.ready} jobs ready, ${s.jobs.failed} failed.`);
          }

          let timer = 0, asking = false;
          async function ask() {
            clearTimeout(timer);
            if (asking || document.hidden) return;
            asking = true;
            try {
              const reply = await fetch('status.json', {cache: 'no-store', signal: AbortSignal.timeout(5000)});
              if (!reply.ok) throw new Error(`status ${reply.status}`);
              show(await reply.json());
            } catch (error) {
              showState('bad', 'no answer');
              say('no answer', 'maild does not answer.');
            }
            asking = false;
            timer = setTimeout(ask, 1000);
          }
          document.addEventListener('visibilitychange', ask);
          ask();
        })();
        """#
}
