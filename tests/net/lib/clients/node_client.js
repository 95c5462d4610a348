// A user's Node.js program: node node_client.js JSON, as python_client.py. Targets are absolute-form.
'use strict';
const http = require('http');
const crypto = require('crypto');
const arg = JSON.parse(process.argv[2]);
const proxy = new URL(arg.proxy);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const host = new URL(arg.base).host;
const piece = Buffer.from('0123456789abcdef'.repeat(4096));

function ask(method, path, headers, write, onData) {
    return new Promise((resolve, reject) => {
        const req = http.request({
            host: proxy.hostname, port: proxy.port, agent, method, path: arg.base + path,
            headers: Object.assign({ Host: host }, headers),
        }, (res) => {
            const parts = [];
            res.on('data', (d) => (onData ? onData(d) : parts.push(d)));
            res.on('end', () => res.complete ? resolve({ res, body: Buffer.concat(parts) }) : reject(new Error('cut')));
            res.on('error', reject);
        });
        req.on('error', reject);
        if (write) { write(req); } else { req.end(); }
    });
}

function* upload(total) {
    for (let left = total; left > 0; left -= piece.length) { yield left >= piece.length ? piece : piece.subarray(0, left); }
}

function sender(total) {
    return (req) => {
        const it = upload(total);
        const go = () => {
            for (;;) {
                const { value, done } = it.next();
                if (done) { req.end(); return; }
                if (!req.write(value)) { req.once('drain', go); return; }
            }
        };
        go();
    };
}

(async () => {
    let good = 0;
    for (let i = 0; i < arg.n; i++) {
        const r = await ask('GET', `/id/${i}`, {});
        good += r.res.statusCode === 200 && r.body.toString() === `${i}\n`;
    }
    const sums = {};
    for (const [name, path] of [['down', `/bytes/${arg.body}`], ['chunked_down', `/chunked/${arg.body}?trailers=1`]]) {
        const h = crypto.createHash('sha256');
        let size = 0;
        await ask('GET', path, {}, null, (d) => { h.update(d); size += d.length; });
        sums[name] = [size, h.digest('hex')];
    }
    const up = JSON.parse((await ask('POST', '/sink', { 'Content-Length': arg.body }, sender(arg.body))).body);
    const chunkedUp = JSON.parse((await ask('POST', '/sink', { 'Transfer-Encoding': 'chunked' }, sender(arg.body))).body);
    const h = crypto.createHash('sha256');
    for (const p of upload(arg.body)) { h.update(p); }
    const events = [];
    let rest = '';
    await ask('GET', `/sse?n=${arg.events}&gap_ms=${arg.gap_ms}`, {}, null, (d) => {
        const now = process.hrtime.bigint();        // CLOCK_MONOTONIC, as the origin's stamp
        rest += d;
        for (let k; (k = rest.indexOf('\n\n')) >= 0; rest = rest.slice(k + 2)) {
            events.push([Number(now), Number(rest.slice(0, k).split('data: ')[1])]); // below 2^53 for 104 days
        }
    });
    console.log(JSON.stringify({ good, sums, up, chunked_up: chunkedUp, up_sha: h.digest('hex'), events }));
    agent.destroy();
})().catch((e) => { console.error(e); process.exit(1); });
