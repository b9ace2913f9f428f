import {readFileSync} from 'node:fs';
const rows=readFileSync('tmp-helper2/s1.txt','utf8').trim().split('\n').map(JSON.parse);
console.log(rows.length, rows.filter(r=>r.c).length);
for (const r of rows){ r.over=r.max/r.rps; r.x=r.last-r.inc-r.disk*2-(r.rate?1000*r.R*r.size/r.rate:0); r.ri=1000*r.R/r.rps; }
const top=(f,k=12)=>rows.slice().sort((a,b)=>f(b)-f(a)).slice(0,k).forEach(r=>console.log(f(r).toFixed(2),JSON.stringify(r)));
console.log('reports-over'); top(r=>r.over,6);
console.log('x abs'); top(r=>r.away?-1:r.x,8);
console.log('x per block'); top(r=>r.away?-1:r.x/(r.blocks+20),8);
console.log('ratio'); top(r=>r.away?-1:r.last/r.bound,6);
console.log('away'); top(r=>r.away?r.x:-1,6);
