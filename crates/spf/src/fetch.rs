//! Fetching a record without evaluating it.

use crate::checker::record_among;
use crate::{Error, ErrorKind};
use dns::{Name, Resolver};

/// The text of the one SPF record of a name, for who wants to look at it.
///
/// # Errors
/// [`ErrorKind::NoRecord`], [`ErrorKind::SeveralRecords`]; [`ErrorKind::Dns`] also where the name does not exist.
pub async fn fetch(dns: &dyn Resolver, name: &Name) -> Result<String, Error> {
    let answer = dns::txt(dns, name).await.map_err(Error::lookup)?;
    let texts = answer.records.iter().map(Vec::as_slice);
    let text = record_among(texts)?.ok_or_else(|| Error::new(ErrorKind::NoRecord))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::zone::{Zone, block_on_ready};

    #[test]
    fn fetches_the_one_record_that_begins_with_the_version() {
        let zone = Zone::parse(
            "one.test. TXT \"v=spf10 -all\"\none.test. TXT \"V=SPF1 -all\"\none.test. TXT \"x\"\n\
             two.test. TXT \"v=spf1 -all\"\ntwo.test. TXT \"v=spf1\"\nnone.test. TXT \"v=spf2\"\n",
        )
        .unwrap();
        let fetch =
            |name: &str| block_on_ready(fetch(&zone, &name.parse().unwrap())).map_err(|error| error.kind());
        assert_eq!(fetch("one.test"), Ok("V=SPF1 -all".to_owned()));
        assert_eq!(fetch("two.test"), Err(ErrorKind::SeveralRecords));
        assert_eq!(fetch("none.test"), Err(ErrorKind::NoRecord));
        assert_eq!(fetch("absent.test"), Err(ErrorKind::Dns));
    }
}
