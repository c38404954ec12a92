// Stands for a model: texts with the same pairs of letters are near each other.
export const dimensions = 64;

export function embed(text: string): number[] {
  const counts = new Array<number>(dimensions).fill(0);
  for (let i = 0; i + 1 < text.length; i++) {
    counts[(text.charCodeAt(i) * 31 + text.charCodeAt(i + 1)) % dimensions] += 1;
  }
  return counts;
}

export const notes = [
  { tenant: 1, text: 'the cat sleeps on the warm stove' },
  { tenant: 1, text: 'a kitten and a cat chase a ball' },
  { tenant: 1, text: 'the train to the mountains leaves at nine' },
  { tenant: 2, text: 'a cat asleep beside the stove' },
  { tenant: 2, text: 'bread rises best in a warm kitchen' },
];
