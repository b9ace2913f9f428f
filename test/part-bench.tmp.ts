import { mkdtempSync, rmSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { PartStore } from '/work/main/src/node/session/part-store.ts';
import { createManifest } from '/work/main/src/session/manifest.ts';
const dir = mkdtempSync('/tmp/ps/t');
for (let r = 0; r < 4; r++) {
const d=dir+'/'+r;
const entries = [{kind:'folder',name:'d',mode:0o755,modifiedMs:1e12}, ...Array.from({length:1000},(_,i)=>({kind:'file',name:'d/'+i,mode:0o644,modifiedMs:1.5e12+i+0.123,sizeBytes:1024}))] as any;
const manifest=createManifest(entries);
const bs=Number(process.argv[2]??65536);
const t0=performance.now();
const s=await PartStore.open({dir:d,objectId:'a'.repeat(64),manifest,blockSizeBytes:bs,existing:'update'});
const t1=performance.now();
const w=[];for(let o=0;o<manifest.contentSizeBytes;o+=bs){w.push(s.write(o,Buffer.alloc(Math.min(bs,manifest.contentSizeBytes-o),7)));if(w.length>=4)await Promise.all(w.splice(0))}
await Promise.all(w);
const t2=performance.now();
await s.finish();
const t3=performance.now();
console.log('open',t1-t0,'write',t2-t1,'finish',t3-t2,'total',t3-t0, readdirSync(d), statSync(d+'/d/5').mtimeMs, readdirSync(d+'/d').length);
}
{const size=1e9;const manifest=createManifest([{kind:'file',name:'big',mode:0o644,modifiedMs:1,sizeBytes:size}]);
const bs=1<<20;const b=Buffer.alloc(bs,3);
const t0=performance.now();
const s=await PartStore.open({dir,objectId:'b'.repeat(64),manifest,blockSizeBytes:bs,existing:'update'});
const w=new Set();for(let o=0;o<size;o+=bs){const p=s.write(o,b.subarray(0,Math.min(bs,size-o))).then(()=>w.delete(p));w.add(p);if(w.size>=4)await Promise.race(w)}
await Promise.all(w);const t2=performance.now();await s.finish();console.log('big',t2-t0,performance.now()-t2);
const t4=performance.now();const s2=await PartStore.open({dir,objectId:'b'.repeat(64),manifest,blockSizeBytes:bs,existing:'update'});console.log('rehash',performance.now()-t4,s2.held.length);await s2.finish();console.log(readdirSync(dir))}
rmSync(dir,{recursive:true});
