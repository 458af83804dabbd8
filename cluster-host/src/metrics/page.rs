//! Families of samples, as the `prometheus` crate writes them.

use prometheus::{
    Error, TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

/// What is told of one scrape, in the order in which it was added.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<MetricFamily>);

/// The labels of a sample, in the order in which they are written.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

// === impl Page ===

impl Page {
    /// Adds something that only grows. Its name ends in `_total`.
    pub(super) fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) {
        let metric = |(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(float(value));
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_counter(counter);
            metric
        };
        self.add(name, help, MetricType::COUNTER, samples.into_iter().map(metric).collect());
    }

    /// Adds something that is as it is now.
    pub(super) fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a, N>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_gauge(gauge);
            metric
        };
        self.add(name, help, MetricType::GAUGE, samples.into_iter().map(metric).collect());
    }

    /// A family without samples is not written: nothing could be said of it.
    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    pub(super) fn into_text(self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }
}

/// Prometheus has no other numbers. Counts are exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "that is what the format has")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

fn pairs<const N: usize>(labels: Labels<'_, N>) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.into_iter().map(pair).collect()
}
