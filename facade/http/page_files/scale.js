// Logits as a person reads them: probabilities, places on an axis around 0, texts of numbers.

// Logits of the default model are calibrated: 0 is the threshold where a passage is as likely relevant as not.
export const CALIBRATED = 0;

export const probability = (logit) => 1 / (1 + Math.exp(-logit));

/** The half width of the axis: all logits fit between -width and width. */
export const widthFor = (logits) => Math.max(4, Math.ceil(Math.max(0, ...logits.map(Math.abs)) * 1.05));

/** From 0 at the left end of the axis to 1 at the right one. */
export const onAxis = (logit, width) => Math.min(1, Math.max(0, 0.5 + logit / (2 * width)));

export const asLogit = (logit) => `${logit < 0 ? "\u2212" : logit > 0 ? "+" : ""}${Math.abs(logit).toFixed(2)}`;

export const asPercent = (share) => {
  const percent = share * 100;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  return percent > 99.9 && percent < 100 ? ">99.9 %" : `${percent.toFixed(1)} %`;
};

export const asMs = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1e4 ? `${Math.round(ms)} ms` : `${(ms / 1e3).toFixed(1)} s`);

export const count = (number, one, several = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
