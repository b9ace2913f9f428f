// The picture as a Vega-Lite specification: a bar for each contender, grouped by the number of
// receivers, and by loss. It is legible without colour: bars are in the order of the legend.
import { plotFont } from '../dist/experiment/plot.js';
import { describeNetwork } from './scenes.mjs';

const colours = ['#111111', '#6b6b6b', '#2b4c8c', '#86a3d6', '#cf6a26', '#4f9d8c', '#cfcf9a'];
const lossReceivers = 3;

export function createPicture({ contenders, bytes }, scenes) {
  const plain = scenes.filter(({ lossPercent, wire }) => lossPercent === 0 && wire === 'batches');
  const rates = [...new Set(plain.map(({ rateMbit }) => rateMbit))];
  const single = scenes.filter(({ wire, rateMbit }) => wire === 'datagrams' && rateMbit === 0);
  const lossy = single.filter(({ receiverCount }) => receiverCount === lossReceivers);
  const charts = [
    ...rates.map((rateMbit) => {
      const own = plain.filter((scene) => scene.rateMbit === rateMbit);
      const x = { title: 'receivers', of: ({ receiverCount }) => `${receiverCount}` };
      return createChart(capitalize(describeNetwork(own[0])), own, x, contenders);
    }),
    ...(lossy.length === 0 ? [] : [lossy]).map((own) => {
      const x = { title: 'loss', of: ({ lossPercent }) => `${lossPercent} %` };
      const title = `${lossReceivers} receivers, link unlimited, by loss, datagrams`;
      return createChart(title, own, x, contenders);
    }),
  ];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    padding: 12,
    background: 'white',
    title: {
      text: `Seconds to send ${bytes / 1e6} MB to every receiver`,
      subtitle: ['medians of whole commands; × where no run succeeded'],
      anchor: 'start',
    },
    config: createConfig(),
    vconcat: charts,
    resolve: { scale: { color: 'shared', xOffset: 'independent' } },
  };
}

function createChart(title, scenes, x, contenders) {
  const names = contenders.map(({ name }) => name);
  const values = scenes.flatMap((scene) =>
    scene.entries.map(({ name, elapsedS }) => ({
      ...{ x: x.of(scene), name, seconds: elapsedS ?? 0 },
      label: elapsedS === undefined ? '×' : format(elapsedS),
    })),
  );
  const place = {
    x: { field: 'x', type: 'nominal', sort: null, axis: { title: x.title, labelAngle: 0 } },
    xOffset: { field: 'name', type: 'nominal', sort: names, scale: { domain: names } },
    y: { field: 'seconds', type: 'quantitative', axis: { title: 'seconds' } },
  };
  const scale = { domain: names, range: names.map((_, i) => colours[i % colours.length]) };
  return {
    title: { text: title, fontSize: 14, offset: 8 },
    width: 720,
    height: 190,
    data: { values },
    layer: [
      {
        mark: { type: 'bar' },
        encoding: {
          ...place,
          color: { field: 'name', type: 'nominal', scale, legend: { title: null } },
        },
      },
      {
        mark: { type: 'text', dy: -6, fontSize: 11 },
        encoding: { ...place, text: { field: 'label' } },
      },
    ],
  };
}

function createConfig() {
  const text = { labelFontSize: 13, titleFontSize: 13 };
  return {
    font: `${plotFont}, sans-serif`,
    axis: { ...text, titleFontWeight: 'normal', gridColor: '#dddddd', titlePadding: 6 },
    legend: { ...text, orient: 'right', labelLimit: 300 },
    title: {
      ...{ fontSize: 17, fontWeight: 'normal', anchor: 'start', offset: 12 },
      ...{ subtitleFontSize: 13, subtitleColor: '#444444' },
    },
    view: { stroke: '#bbbbbb' },
  };
}

/** Two significant digits. */
function format(seconds) {
  if (seconds >= 9.95) return seconds.toFixed(0);
  return seconds.toFixed(seconds < 0.095 ? 2 : 1);
}

function capitalize(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}
