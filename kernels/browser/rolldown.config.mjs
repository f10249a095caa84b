// Bundles what runs in browsers: one script for each page that loads it. npm run build
const script = (input, file) => ({
  input: `kernels/browser/${input}`,
  output: { file: `dist/kernels/browser/${file}`, format: 'iife', minify: true },
});

export default [
  script('lab.ts', 'remoteEntry.js'),
  script('report.ts', 'report.js'),
  script('viewer/main.ts', 'viewer.js'),
  script('widget/frame.ts', 'widget-frame.js'),
];
