// What is there without any of this: as many bytes by TCP to each receiver, all at once. The receivers
// fetch (-R): a sender of iperf3's ends with what is still in its buffers undelivered, a receiver counts
// what came.
const port = 5201;

export const tcp = {
  id: 'tcp',
  runShare: 0.6,
  name: 'TCP to each',
  about: 'iperf3 -R by each receiver in parallel, as many bytes to each: no encryption, no file',
  needs: ['iperf3'],
  version: ([{ stdout }]) => JSON.parse(stdout).start?.version,
  plan: ({ lab, outputs, bytes }) => ({
    receivers: outputs.map((_, i) => ({
      words: [...lab.on(0), 'iperf3', '-s', '-1', '-p', port + i, '--forceflush'],
      isReady: ({ stdout }) => stdout.includes('Server listening'),
    })),
    senders: outputs.map((_, i) => ({
      words: [
        ...[...lab.on(i + 1), 'iperf3', '-c', lab.address(0), '-p', port + i],
        ...['-R', '-n', bytes, '-J'],
      ],
    })),
    isReversed: true,
    isWhole: (results) => results.every((result) => receivedOf(result).bytes >= bytes),
    transferS: (results) => Math.max(...results.map((result) => receivedOf(result).seconds)),
    endsItself: true,
  }),
};

function receivedOf({ stdout }) {
  return JSON.parse(stdout).end.sum_received;
}
