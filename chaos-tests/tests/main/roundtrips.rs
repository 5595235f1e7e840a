use crate::scenario;
use chaos_tests::failure::Result;
use chaos_tests::fault;
use chaos_tests::roundtrip::{self, Figures, Source};
use chaos_tests::scenario::Tier;
use chaos_tests::world::{Options, World};

async fn trip(name: &str, seed: u64, sources: &[Source]) -> Result<Figures> {
    let mut world =
        World::start(Options { name: name.into(), seed, mailboxes: 5, ..Options::default() })
            .await?;
    let figures = roundtrip::run(&world, sources, 6).await;
    let figures = figures.map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(figures)
}

#[test]
fn the_corpus_comes_back_byte_for_byte() {
    let Some(sources) = roundtrip::corpus(1) else {
        eprintln!("corpus: SKIPPED, no messages in ../shared/corpus/eml (RIALTO_CORPUS)");
        return;
    };
    let figures = scenario("corpus", |seed| async move { trip("corpus", seed, &sources).await });
    eprintln!("corpus: {:?}", figures.unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn made_messages_come_back_byte_for_byte() {
    let (count, large, megabytes) = Tier::from_env().pick((40, 4, 16), (500, 400, 48));
    let figures = scenario("made", |seed| async move {
        let sources = roundtrip::made(seed, count, large, megabytes);
        trip("made", seed, &sources).await
    });
    eprintln!("made: {:?}", figures.unwrap_or_else(|error| panic!("{error}")));
}
